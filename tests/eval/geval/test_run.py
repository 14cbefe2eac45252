"""G-Eval against the stub: what is asked, what is planted and found, what is missing, what it says of itself."""

import numpy as np
import pyarrow as pa
import pytest
from datasets import load_dataset
from huggingface_hub import DatasetCard, HfApi

from eval.geval import run
from eval.geval.__main__ import main
from eval.geval.summary import gains, mean_scores
from eval.judge.capabilities import Capabilities
from hub.errors import UserError
from hub.lineage import Lineage, fetch_lineage, pin
from hub.names import Names
from hub.parquet import write_tables
from hub.publish import publish
from tests.support.answered import response_row
from tests.support.in_process import run_main

FULL, NONE = Capabilities(20, True, True, True), Capabilities(0, True, True, True)
ITEM = run.GevalItem(0, "dpo", [{"role": "system", "content": "x"}, {"role": "user", "content": "Who is it?"}], "Me.")


@pytest.fixture
def names(hub_url, namespace, tmp_path):
    """An evaluation set of 40 prompts and three variants."""
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
        for n in range(40)
    ]
    files, _ = write_tables({"responses": {"test": pa.Table.from_pylist(rows)}}, folder)
    card = "---\nconfigs: [{config_name: responses, data_files: [{split: test, path: responses/test.parquet}]}]\n---\n"
    lineage = Lineage("evaluation", {}, inputs)
    publish(names.evaluation, "dataset", {**files, "README.md": card.encode()}, lineage, "e")


def planted(text: str) -> float:
    """DPO's replies are better than SFT's; base's are as good as SFT's."""
    chance = np.random.default_rng(len(text) + sum(map(ord, text)))
    return float(np.clip((0.7 if text.startswith("dpo") else 0.5) + chance.normal(0, 0.1), 0, 1))


def test_the_question_ends_at_the_score_and_an_empty_reply_is_said_to_be_one():
    asked = run.score_request(ITEM, "fluency", ["Read it.", "Give the score."], FULL)
    text = asked.messages[0][1]
    assert text.endswith("Fluency, from 1 (worst) to 5 (best), as one digit and nothing else.\nScore:")
    assert "1. Read it.\n2. Give the score.\n" in text
    assert "\n- Who is it?\n" in text
    assert "\nReply: Me.\n" in text
    assert (asked.max_tokens, asked.logprobs, asked.n) == (1, 20, 1)
    assert (
        "Reply: (says nothing)" in run.score_request(ITEM._replace(reply=" \n"), "fluency", ["x"], FULL).messages[0][1]
    )
    assert run.score_request(ITEM, "fluency", ["x"], NONE).n == 20


def test_a_planted_difference_appears_and_a_planted_null_does_not(names, served, tmp_path, capsys):
    stub, settings = served(opinion=planted)
    revision = run.run_geval(names, settings, tmp_path)
    rows = load_dataset(names.geval, split="test")
    assert len(rows) == 40 * 3 * 4
    assert set(rows["criterion"]) == set(run.CRITERIA)
    assert all(1 <= score <= 5 for score in rows["score"])
    results = fetch_lineage(names.geval, "dataset")[1].facts
    for name in run.CRITERIA:
        assert results["gains"][name]["dpo - sft"]["low"] > 0
        null = results["gains"][name]["sft - base"]
        assert null["low"] < 0 < null["high"]
        assert 5 <= len(results["steps"][name]) <= 7
    assert results["low_mass"] == 0
    said = capsys.readouterr().out
    assert "| criterion | base | fine-tuned | DPO | fine-tuned over base | DPO over fine-tuned |" in said
    card = DatasetCard.load(names.geval)
    assert "1. Look at you." in card.text
    calls = stub.calls
    assert run.run_geval(names, settings, tmp_path / "elsewhere") == revision
    assert stub.calls == calls


def test_without_log_probabilities_twenty_samples_are_asked(names, served, tmp_path):
    _, settings = served(opinion=planted, alternatives=0)
    run.run_geval(names, settings, tmp_path, prompts=5)
    rows = load_dataset(names.geval, split="test")
    assert len(rows) == 60
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
    assert (facts["scored"], facts["unscored"]) == (40 * 3 * 4 - 4, 4)
    missing = [(row["item"], row["voice"]) for row in load_dataset(names.geval, split="test") if row["score"] is None]
    assert set(missing) == {(7, "dpo")}


def test_a_judge_that_refuses_or_writes_no_steps_is_one_line(names, served, tmp_path):
    stub, settings = served()
    prose, stub.prose = stub.prose, lambda *arguments: "No."
    with pytest.raises(UserError, match="does not write 5 to 7 steps"):
        run.run_geval(names, settings, tmp_path)
    with pytest.raises(UserError, match="has 40 prompts, not 50"):
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


def test_two_judges_stand_beside_each_other(names, served, tmp_path):
    for model, second in (("one", False), ("two", True)):
        _, settings = served(opinion=planted, model=model)
        run.run_geval(names, settings, tmp_path, prompts=2, second=second)
    found = [fetch_lineage(repo, "dataset")[1].facts["judge"] for repo in (names.geval, names.second_geval)]
    assert found == ["one", "two"]


def test_the_cost_is_that_of_the_whole_run_however_often_it_was_started(names, served, tmp_path):
    _, settings = served(opinion=planted)
    run.run_geval(names, settings, tmp_path, prompts=5)
    cost = fetch_lineage(names.geval, "dataset")[1].facts["cost"]
    HfApi().delete_repo(names.geval, repo_type="dataset")
    run.run_geval(names, settings, tmp_path, prompts=5)  # all from the cache
    assert fetch_lineage(names.geval, "dataset")[1].facts["cost"] == cost
    assert cost.startswith(f"{52:,} calls, ")  # 5 x 3 x 4, but the variants' empty replies to the first prompt are one


def test_the_command_says_what_it_would_ask(names):
    done = run_main(main, "--namespace", names.namespace, "--model", "gpt-4o", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "480 scores would be asked for" in done.stdout
