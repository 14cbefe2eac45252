"""G-Eval against the stub: what is asked, what is planted and found, what is missing, what it says of itself."""

import numpy as np
import pyarrow as pa
import pytest
from datasets import load_dataset
from huggingface_hub import DatasetCard, HfApi

from eval.geval import run
from eval.geval.__main__ import main
from eval.geval.summary import gains, mean_scores
from hub.errors import UserError
from hub.lineage import Lineage, fetch_lineage, pin
from hub.names import Names
from hub.parquet import write_tables
from hub.publish import publish
from tests.support.answered import response_row
from tests.support.in_process import run_main

PROMPTS = 20
VOICES = 5  # three variants, the film's own reply and another film's


@pytest.fixture
def names(hub_url, namespace, tmp_path):
    """An evaluation set of 20 prompts and three variants."""
    found = Names(namespace, "starter")
    republish(found, tmp_path)
    return found


def republish(names, folder, *inputs):
    rows = [
        response_row(
            [f"L{n}"],
            [f"Line {n}?"],
            {variant: f"{variant} {n}" if n else "  " for variant in ("base", "sft", "dpo")},
        )
        | {"movie_id": f"m{n // 2}", "film_reply": f"film {n}", "shuffled_reply": f"shuffled {n}"}
        for n in range(PROMPTS)
    ]
    files, _ = write_tables({"responses": {"test": pa.Table.from_pylist(rows)}}, folder)
    card = "---\nconfigs: [{config_name: responses, data_files: [{split: test, path: responses/test.parquet}]}]\n---\n"
    lineage = Lineage("evaluation", {}, inputs)
    publish(names.evaluation, "dataset", {**files, "README.md": card.encode()}, lineage, "e")


def planted(text: str) -> float:
    """DPO's replies are better, the films' better still, other films' worse; base and SFT win every other film."""
    variant, _, place = text.partition(" ")
    swing = 0.1 if place.isdecimal() and int(place) % 4 < 2 else -0.1
    centre = {"base": 0.5 + swing, "sft": 0.5 - swing, "dpo": 0.7, "film": 0.85, "shuffled": 0.2}
    return centre.get(variant, 0.5)


def test_a_planted_difference_appears_and_a_planted_null_does_not(names, served, tmp_path, capsys):
    stub, settings = served(opinion=planted)
    revision = run.run_geval(names, settings, tmp_path)
    rows = load_dataset(names.geval, split="test")
    assert len(rows) == PROMPTS * VOICES * 4
    assert set(rows["criterion"]) == set(run.CRITERIA)
    assert all(1 <= score <= 5 for score in rows["score"])
    results = fetch_lineage(names.geval, "dataset")[1].facts
    for name in run.CRITERIA:
        assert results["gains"][name]["dpo - sft"]["low"] > 0
        null = results["gains"][name]["sft - base"]
        assert null["low"] < 0 < null["high"]
        for other in ("base", "sft", "dpo", "shuffled"):
            assert results["gains"][name][f"film - {other}"]["low"] > 0
        assert 5 <= len(results["steps"][name]) <= 7
    assert results["low_mass"] == 0
    said = capsys.readouterr().out
    assert "| mean score | base | fine-tuned | DPO | the films' own | another film's |" in said
    card = DatasetCard.load(names.geval)
    assert "1. Look at you." in card.text
    calls = stub.calls
    assert run.run_geval(names, settings, tmp_path / "elsewhere") == revision
    assert stub.calls == calls


def test_without_log_probabilities_twenty_samples_are_asked(names, served, tmp_path):
    _, settings = served(opinion=planted, alternatives=0)
    run.run_geval(names, settings, tmp_path, prompts=5)
    rows = load_dataset(names.geval, split="test")
    assert len(rows) == 5 * VOICES * 4
    assert all(len(samples) == 20 for samples in rows["samples"])
    assert rows["score"][0] == pytest.approx(np.mean([int(text) for text in rows["samples"][0]]))


def test_what_is_unscored_is_missing_never_zero(names, served, tmp_path):
    stub, settings = served(opinion=planted)
    tops = stub.tops
    stub.tops = lambda labels: [("The", -0.1)] if stub.calls % 3 == 0 else tops(labels)
    run.run_geval(names, settings, tmp_path, prompts=10)
    rows = load_dataset(names.geval, split="test").to_list()
    missing = [row for row in rows if row["score"] is None]
    assert missing
    found = mean_scores(rows)
    for name, variants in found.items():
        for variant, estimate in variants.items():
            own = [
                r["score"] for r in rows if r["criterion"] == name and r["voice"] == variant and r["score"] is not None
            ]
            assert estimate.value == pytest.approx(np.mean(own))
    assert gains([row | {"score": None} for row in rows]) == {}


def test_what_a_judge_refuses_is_counted_and_the_rest_is_scored(names, served, tmp_path):
    stub, settings = served(opinion=planted)
    whole = stub.answer

    def answer(body):
        found = whole(body)
        if "Reply: dpo 7\n" in body["messages"][-1]["content"]:
            found["choices"][0] |= {"message": {"role": "assistant", "content": None, "refusal": "I can't."}}
            found["choices"][0] |= {"logprobs": {"content": None}}
        return found

    stub.answer = answer
    run.run_geval(names, settings, tmp_path)
    facts = fetch_lineage(names.geval, "dataset")[1].facts
    assert (facts["scored"], facts["unscored"], facts["refused"]) == (PROMPTS * VOICES * 4 - 4, 4, 4)
    missing = [(row["item"], row["voice"]) for row in load_dataset(names.geval, split="test") if row["score"] is None]
    assert set(missing) == {(7, "dpo")}


def test_a_judge_that_refuses_or_an_author_that_writes_no_steps_is_one_line(names, served, tmp_path, capsys):
    """A judge that was not asked for by `--steps-model` follows the published steps where it writes none."""
    stub, settings = served(opinion=planted)
    prose = stub.prose
    stub.prose = lambda prompt, *rest: prose(prompt, *rest) if "one letter" in prompt else "No."
    with pytest.raises(UserError, match="does not write 5 to 7 steps"):
        run.run_geval(names, settings, tmp_path, writer=settings)
    run.run_geval(names, settings, tmp_path, prompts=2)
    assert "following the steps by the authors of Repartee" in capsys.readouterr().out
    with pytest.raises(UserError, match="has 20 prompts, not 50"):
        run.run_geval(names, settings, tmp_path, prompts=50)
    stub.prose, stub.tops = prose, lambda labels: [("I", -0.1), ("Sorry", -3.0)]
    with pytest.raises(UserError, match="gave no answer that is a score"):
        run.run_geval(names, settings, tmp_path / "again", prompts=5)


def test_the_labeller_is_warned_of(names, served, tmp_path, capsys):
    """Found through the DPO adapter, at the commit that was used: what was labelled since does not count."""
    _, settings = served(opinion=planted)
    publish(names.preferences, "dataset", {"a": b"1"}, Lineage("preferences", {}, (), {"judge": "stub"}), "p")
    preferences = pin(names.preferences, "dataset")
    publish(names.adapter("dpo"), "model", {"b": b"1"}, Lineage("dpo", {}, (preferences,)), "d")
    publish(names.preferences, "dataset", {"a": b"2"}, Lineage("preferences", {}, (), {"judge": "other"}), "p")
    republish(names, tmp_path, pin(names.adapter("dpo"), "model"))
    run.run_geval(names, settings, tmp_path, prompts=2)
    assert "warning: stub also labelled" in capsys.readouterr().out
    _, others = served(opinion=planted, model="other")
    run.run_geval(names, others, tmp_path, prompts=2)
    assert "warning" not in capsys.readouterr().out


def test_a_second_judge_takes_the_firsts_steps(names, served, tmp_path):
    _, first = served(opinion=planted, model="one")
    _, second = served(opinion=planted, model="two")
    with pytest.raises(UserError, match=r"no steps in .*geval: .* run eval.geval first"):
        run.run_geval(names, second, tmp_path, prompts=2, second=True)
    run.run_geval(names, first, tmp_path, prompts=2)
    run.run_geval(names, second, tmp_path, prompts=2, second=True)
    one, two = (fetch_lineage(repo, "dataset")[1] for repo in (names.geval, names.second_geval))
    assert [made.facts["judge"] for made in (one, two)] == ["one", "two"]
    assert two.facts["rubric"] == two.settings["steps"] == one.facts["rubric"]
    assert two.facts["steps"] == one.facts["steps"]
    assert two.facts["rubric"]["written_by"] == "one"


def test_a_stronger_model_writes_the_steps(names, served, tmp_path):
    scorer, settings = served(opinion=planted)
    strong, writer = served(opinion=planted, model="strong")
    prose = strong.prose
    strong.prose = lambda prompt, *rest: prose(prompt, *rest).replace("Look at", "Weigh")
    own = scorer.prose
    scorer.prose = lambda prompt, *rest: own(prompt, *rest) if "one letter" in prompt else "No steps of mine."
    run.run_geval(names, settings, tmp_path, prompts=2, writer=writer)
    found = fetch_lineage(names.geval, "dataset")[1]
    assert found.facts["rubric"]["written_by"] == found.settings["steps"]["written_by"] == "strong"
    assert found.facts["steps"]["fluency"][0] == "Weigh you."
    assert "steps by strong" in DatasetCard.load(names.geval).text


def test_the_cost_is_that_of_the_whole_run_however_often_it_was_started(names, served, tmp_path):
    _, settings = served(opinion=planted)
    run.run_geval(names, settings, tmp_path, prompts=5)
    cost = fetch_lineage(names.geval, "dataset")[1].facts["cost"]
    HfApi().delete_repo(names.geval, repo_type="dataset")
    run.run_geval(names, settings, tmp_path, prompts=5)  # all from the cache
    assert fetch_lineage(names.geval, "dataset")[1].facts["cost"] == cost
    assert cost.startswith("92 calls, ")  # 5 x 5 x 4, but the variants' empty replies to the first prompt are one


def test_the_command_says_what_it_would_ask(names):
    done = run_main(main, "--namespace", names.namespace, "--model", "gpt-4o", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "400 scores would be asked for" in done.stdout
