"""Recorded scores against people's, by the forms in which they are recorded."""

import csv
import json

import numpy as np
import pytest
from scipy.stats import kendalltau, pearsonr

from benchmarks.recorded import main
from benchmarks.recorded_correlations import (
    GEVAL,
    HANNA,
    HANNA_CRITERIA,
    SUMMEVAL,
    geval_figures,
    hanna_figures,
    summeval_figures,
)

chance = np.random.default_rng(3)


def test_sampled_answers_are_read_as_scores(tmp_path):
    (tmp_path / "results").mkdir()
    for criterion, (short, *_) in GEVAL.items():
        rows = [
            {"doc_id": doc, "system_id": n, "scores": {criterion: n}, "all_responses": [f"{n}", "Score: 3", "no"]}
            for doc in range(2)
            for n in range(1, 6)
        ]
        (tmp_path / "results" / f"gpt4_{short}_detailed.json").write_text(json.dumps(rows))
    found = {figure.what: figure for figure in geval_figures(tmp_path)}
    fluency = found["G-Eval-4, SummEval, fluency, kendall by document"]
    assert (fluency.expected, fluency.got) == (0.455, pytest.approx(1.0))


def test_summeval_at_three_levels(tmp_path):
    people, judge = chance.normal(size=(8, 5)), chance.normal(size=(8, 5))  # documents by systems
    criteria = SUMMEVAL["item"]
    rows = [
        {"doc_id": f"d{doc}", "system_id": f"M{system}",
         "scores": dict.fromkeys(criteria, people[doc, system]),
         "predict_scores": dict.fromkeys(criteria, judge[doc, system])}
        for doc in range(8) for system in range(5)
    ]  # fmt: skip
    folder = tmp_path / "reproduce" / "unieval_predict" / "summarization"
    folder.mkdir(parents=True)
    (folder / "summeval_result.json").write_text(json.dumps(rows))
    found = {figure.what: figure for figure in summeval_figures(tmp_path)}
    assert len(found) == 3 * 4 * 3
    expected = {
        "pearson by response": pearsonr(people.ravel(), judge.ravel()).statistic,
        "kendall by item": np.mean([kendalltau(*pair).statistic for pair in zip(people, judge, strict=True)]),
        "pearson by system": pearsonr(people.mean(0), judge.mean(0)).statistic,
    }
    for what, value in expected.items():
        assert found[f"UniEval, SummEval, relevance, {what}"].got == pytest.approx(value)
    assert found["UniEval, SummEval, relevance, kendall by system"].expected == 0.666667


def test_hanna_leaves_people_out_and_has_no_sign(tmp_path, capsys):
    judges = HANNA["system"]
    criteria = list(HANNA_CRITERIA.values())
    systems = {"Human": 9.0, "one": 1.0, "two": 2.0, "three": 3.0}
    with (tmp_path / "hanna_metric_scores_llm.csv").open("w", newline="") as file:
        columns = [
            "Model",
            *criteria,
            *(f"{judge} {short} 1" for judge in judges for short in HANNA_CRITERIA),
        ]
        table = csv.DictWriter(file, columns)
        table.writeheader()
        for name, level in systems.items():
            stories = [level + 0.1 * n for n in range(4)]  # a judge that turns it round, and is fond of people
            turned = [9.0 if name == "Human" else -story for story in stories]
            cells = {column: json.dumps(stories if column in criteria else turned) for column in columns[1:]}
            table.writerow({"Model": name, **cells})
    found = list(hanna_figures(tmp_path))
    assert len(found) == 2 * 4 * 6
    assert [figure.got for figure in found] == pytest.approx([1.0] * 48)
    main(["--hanna", str(tmp_path)])
    assert "| Beluga-13B, HANNA, relevance, kendall by system | 0.49 | 1.00 | +5.1e-01 |" in capsys.readouterr().out
