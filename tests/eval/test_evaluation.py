"""The whole stage against the local Hub, and the table and the drawing that readers get."""

import json
import math

import pytest

from chat.sampling import Sampling
from eval import evaluation
from eval.plots import metrics_figure
from hub.errors import UserError
from hub.results_table import ROWS, table
from tests.support.in_process import run_main
from training.pipeline import study
from training.recipe import load

ESTIMATE = {"value": 0.5, "low": 0.25, "high": 0.75, "p_value": 0.01, "clusters": 60}
VARIANTS = ("base", "sft", "dpo")


@pytest.fixture
def results():
    variant = dict.fromkeys(ROWS, ESTIMATE) | {"words_10": 1.0, "words_50": 7.0, "words_90": 20.0}
    variant["text_nats_per_byte"] = {"value": 1.1402, "low": 1.1, "high": 1.2}
    form = dict.fromkeys(("text_nats_per_byte", "end_nats", "hits_pmi", "stop_rate"), ESTIMATE)
    return {
        "prompts": 1_200,
        "candidates": 20,
        "voices": {"base": variant, "sft": variant, "dpo": variant},
        "judge": "PMI under the base model",
        "preferred": {"dpo over sft": {"rate": ESTIMATE | {"p_value": 0.03}, "ties": 0.1}},
        "paired": {"sft - base": {"hits_pmi": ESTIMATE}},
        "film": {"words_50": 9.0},
        "shuffled": {"words_50": 8.0},
        "base_formats": {
            "chosen": "plain",
            "validation_pairs": 100,
            "formats": {
                "plain": form | {"validation_text_nats_per_byte": 1.141},
                "chat": form | {"validation_text_nats_per_byte": 1.145},
            },
        },
    }


def test_the_table(results):
    lines = table(results).splitlines()
    assert lines[:3] == [
        "| 1,200 test prompts | base | fine-tuned | DPO | the films' own | another film's |",
        "|---|---:|---:|---:|---:|---:|",
        "| Reply loss, text alone (nats per byte without the end, lower is better) |"
        + " 1.140 (1.100 to 1.200) |" * 3
        + " - | - |",
    ]
    assert lines[3].startswith("| Loss of the reply's end (nats a reply")
    assert "| Hits@1/20 by PMI (chance is 5.0%) |" + " 50.0% (25.0% to 75.0%) |" * 3 + " - | - |" in lines
    assert "| Words, median |" + " 7 |" * 3 + " 9 | 8 |" in lines
    preferred = "DPO preferred to fine-tuned by PMI under the base model: 50.0% (25.0% to 75.0%)"
    assert lines[-5] == f"{preferred}, ties (10.0%) counted as half, p = 0.0300"
    assert lines[-7] == "fine-tuned less base, Hits@1/20 by PMI: +50.0 (+25.0 to +75.0) points, p = 0.0200"  # of two
    assert lines[-3] == "p of flipped signs of whole films, adjusted for 2 comparisons (Holm)"
    assert lines[-1].startswith(
        "The base is asked in plain lines, chosen by text-only nats per byte on 100 validation pairs "
        "(plain lines 1.141, chat template 1.145). On the test prompts: plain lines 0.500 (0.250 to 0.750) nats"
    )
    assert table(json.loads(json.dumps(results))) == table(results)


def test_the_drawing(results, tmp_path):
    content = metrics_figure(results, tmp_path / "new" / "metrics.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    results["voices"]["sft"] = results["voices"]["sft"] | {"stop_rate": {"value": 1.0, "low": 0.9, "high": 1.0}}
    assert (other := metrics_figure(results, tmp_path / "other.png").read_bytes()) != content
    results["voices"]["sft"]["stop_rate"] = {"value": 1.0, "low": None, "high": None}  # too few films
    assert metrics_figure(results | {"films": 2}, tmp_path / "few.png").read_bytes() != other


def run(names, work, **changes):
    settings = {
        "prompts": 6,
        "distractors": 3,
        "per_film": 20,
        "format_pairs": 4,
        "seed": 1,
        "sampling": Sampling(max_new_tokens=8),
    }
    adapters = {kind: names.adapter(kind) for kind in ("sft", "dpo")}
    asked = evaluation.Study(names, names.base, names.dialogue, adapters, **settings | changes)
    return evaluation.run_evaluation(asked, work)


def test_the_stage(published, rows, tmp_path, capsys):
    from datasets import load_dataset
    from huggingface_hub import HfApi, hf_hub_download

    revision = run(published, tmp_path)
    assert (
        len(HfApi().list_repo_commits(published.evaluation, repo_type="dataset")) <= 2
    )  # one, and the Hub's own first
    files = set(HfApi().list_repo_files(published.evaluation, repo_type="dataset")) - {".gitattributes"}
    assert files == {"README.md", "lineage.json", "metrics.png", "responses/test.parquet", "results.json"}
    responses = load_dataset(published.evaluation, "responses", split="test", revision=revision)
    assert {row["film_reply"] for row in responses} == {row["completion"][0]["content"] for row in rows}
    path = hf_hub_download(published.evaluation, "results.json", repo_type="dataset", revision=revision)
    with open(path) as file:
        results = json.load(file)
    assert results["candidates"] == 4
    for name in VARIANTS:  # the published rows are what the published figures are made of
        hits = [row[name]["hit_pmi"] for row in responses]
        assert results["voices"][name]["hits_pmi"]["value"] == pytest.approx(sum(hits) / 6)
        stops = [row[name]["ended"] == "<|im_end|>" for row in responses]
        assert results["voices"][name]["stop_rate"]["value"] == pytest.approx(sum(stops) / 6)
    assert table(results) in capsys.readouterr().out
    by_film = {row["film_reply"]: row["movie_id"] for row in responses}
    assert all(by_film[row["shuffled_reply"]] != row["movie_id"] for row in responses)
    compared = {"sft over base", "dpo over sft", "film over shuffled"}
    compared |= {f"film over {name}" for name in VARIANTS} | {f"{name} over shuffled" for name in VARIANTS}
    assert set(results["preferred"]) == set(responses[0]["first_better"]) == compared
    assert {"film", "shuffled"} < set(results)
    means = {name: results["voices"][name]["judge_mean"]["value"] for name in VARIANTS}
    ahead = [row["first_better"]["sft over base"][0] for row in responses]
    gained = sum(math.log(p / (1 - p)) for p in ahead) / 6  # P = sigmoid of the two scores' difference
    assert means["sft"] - means["base"] == pytest.approx(gained, abs=1e-4)
    for own in (results["film"], *results["voices"].values()):
        assert own["judge_5"] <= own["judge_10"] <= own["judge_25"]
    formats = results["base_formats"]
    found, chosen = formats["formats"], formats["chosen"]
    losses = {name: own["validation_text_nats_per_byte"] for name, own in found.items()}
    assert (set(losses), formats["validation_pairs"], chosen) == ({"chat", "plain"}, 4, min(losses, key=losses.get))
    assert found["chat"]["text_nats_per_byte"] != found["plain"]["text_nats_per_byte"]
    for key, value in found[chosen].items():
        assert key.startswith("validation") or results["voices"]["base"][key] == value
    assert {name: (own["prompts"], own["films"]) for name, own in results["sources"].items()} == {
        "ours": (4, 2),
        "theirs": (2, 1),
    }
    for name in VARIANTS:  # of 6 prompts, 4 are of one source
        ours, theirs = (results["sources"][of]["voices"][name]["hits_pmi"]["value"] for of in ("ours", "theirs"))
        assert (4 * ours + 2 * theirs) / 6 == pytest.approx(results["voices"][name]["hits_pmi"]["value"])
    assert "| theirs (2 of 1 films) | Hits@1/4 by PMI |" in table(results)
    for row in responses:
        for name in VARIANTS:
            first = [line.strip() for line in row[name]["uncut"].splitlines() if line.strip()][:1]
            assert [row[name]["text"]] == (first or [""])
    assert run(published, tmp_path / "elsewhere") == revision
    assert "up to date" in capsys.readouterr().out
    assert not (tmp_path / "elsewhere").exists()


def test_the_base_is_loaded_in_four_bits_where_the_recipe_says_so(published, tmp_path):
    from datasets import load_dataset

    plain, quantized = (
        load_dataset(published.evaluation, "responses", split="test", revision=run(published, tmp_path, four_bit=bits))
        for bits in (False, True)
    )
    before, after = ([row["sft"]["film_reply_nats"] for row in rows] for rows in (plain, quantized))
    assert all(abs(a - b) > 1e-3 for a, b in zip(before, after, strict=True))  # NF4 rounds every weight
    assert after == pytest.approx(before, rel=0.2)
    asked = ["model.four_bit=true", f"hub.namespace={published.namespace}"]
    assert study(load("training/recipes/starter.yaml", asked)).four_bit


def test_an_unknown_judge(published, tmp_path):
    with pytest.raises(UserError, match="oracle"):
        run(published, tmp_path, judge="oracle")


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [(["--prompts", "0"], 2, "above 0"), ([], 1, "404")],
)
def test_bad_input_is_one_line(namespace, arguments, status, says):
    done = run_main(evaluation.main, "--namespace", namespace, *arguments)
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    assert says in done.stderr.strip().splitlines()[-1]
