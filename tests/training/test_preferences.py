"""Preference sets from each source, on the chain's own starter and a stub judge: rows, drops, redraws, costs."""

import pytest
from datasets import load_dataset
from huggingface_hub import DatasetCard, HfApi

from chat.generate import Reply
from hub.lineage import published
from hub.names import Names
from training import base, preferences, prepare
from training.recipe import load
from training.replies import sampled, similarity, trouble
from training.sections import Preferences


def reply(text, ended="<|im_end|>"):
    return Reply(text, ended, 3)


def test_what_makes_a_pair_useless():
    assert trouble((reply("Yes."), reply("No."))) is None
    assert trouble((reply(" "), reply("No."))) == "an empty reply"
    assert trouble((reply("Yes.", "length"), reply("No."))) == "a reply that did not end"
    assert trouble((reply("I said no."), reply("i said  NO."))) == "replies alike"
    assert similarity("a b c d", "a x c d") == pytest.approx(0.75)
    assert similarity("a b", "c d") == 0


def test_useless_pairs_are_drawn_again_a_bounded_number_of_times(monkeypatch, tmp_path):
    seen = []

    def draw(path, voices, prompts, names, sampling, seed):
        seen.append((len(prompts), seed))
        texts = {
            1: ["Yes.", "No.", "Same.", "same.", "", "x"],
            1001: ["Same.", "Same.", "Now.", "Then."],
            2001: ["A.", "A."],
        }
        return [reply(text) for text in texts[seed]]

    monkeypatch.setattr("chat.bulk.generate_to", draw)
    prompts = [{"prompt": [{"role": "user", "content": str(n)}]} for n in range(3)]
    contest = sampled(None, prompts, Preferences(redraws=2), tmp_path)
    assert seen == [(6, 1), (4, 1001), (2, 2001)]
    assert [tuple(r.text for r in pair) for pair in contest.pairs] == [("Yes.", "No."), ("A.", "A."), ("Now.", "Then.")]
    assert contest.seeds == [1, 2001, 1001]
    assert contest.counts == {"pairs drawn again": 3, "after the last draw: replies alike": 1}


def label(ahead, swapped, first="Yes.", second="No."):
    return {"responses": [first, second], "first_wins": [ahead, swapped], "probability": (ahead + 1 - swapped) / 2}


@pytest.mark.parametrize(
    ("row", "settings", "reason"),
    [
        (label(0.9, 0.2), {}, ""),
        (label(0.9, 0.8), {}, "orders disagree"),
        (label(0.9, 0.6), {"allow_disagreement": True}, ""),
        (label(0.5, 0.5), {}, "tie"),
        (label(float("nan"), 0.2), {}, "unscored"),
        (label(0.51, 0.49), {}, "margin too small"),
        (label(0.9, 0.2, "yes.", "Yes. "), {}, "identical replies"),
        (label(0.9, 0.2, " "), {}, "empty reply"),
    ],
)
def test_why_a_pair_is_dropped(row, settings, reason):
    assert preferences.reason_to_drop(row, Preferences(**settings)) == reason


@pytest.fixture(scope="module")
def family(hub_url, adapters, tmp_path_factory):
    """A namespace with the sample's dataset, the starter and a random SFT adapter."""
    recipe = load("training/recipes/starter.yaml", ["hub.namespace=pref"])
    prepare.run(recipe, tmp_path_factory.mktemp("w"))
    base.run(recipe, tmp_path_factory.mktemp("w"))
    names = Names("pref", "starter")
    HfApi().create_repo(names.adapter("sft"))
    HfApi().upload_folder(repo_id=names.adapter("sft"), folder_path=adapters["sft"])
    return names


def made(family, tmp_path, *overrides):
    recipe = load("training/recipes/starter.yaml", ["hub.namespace=pref", "preferences.prompts=12", *overrides])
    preferences.run(recipe, tmp_path)
    return recipe


def test_an_llm_judges_and_a_second_one_beside_it(family, served, tmp_path, capsys):
    stub, settings = served(bias=0.6)
    other, second = served(seed=1)
    overrides = [
        "preferences.source=judge", "preferences.redraws=1",
        "judge.model=stub", f"judge.base_url={settings.base_url}", "judge.key_env=JUDGE_KEY",
        "judge.price_in=1", "judge.price_out=2",
        "second_judge.model=other", f"second_judge.base_url={second.base_url}", "second_judge.key_env=JUDGE_KEY",
    ]  # fmt: skip
    made(family, tmp_path, *overrides)
    said = capsys.readouterr().out
    assert "[judge] stub at" in said
    assert "other agrees on" in said
    rows = load_dataset(family.preferences, "labels", split="train")
    assert len(rows) == 12
    assert {row["judge"] for row in rows} == {"stub"}
    assert all(len(row["second_first_wins"]) == 2 and row["seed"] in (1, 1001) for row in rows)
    facts = published(family.preferences, "dataset")[1].facts
    assert facts["cost"].startswith("stub: ")
    assert "price unknown" in facts["cost"]
    card = DatasetCard.load(family.preferences).text
    assert "The judge is **stub** (log-probabilities of 20 alternatives" in card
    assert "A second judge, other," in card
    calls = (stub.calls, other.calls)
    HfApi().delete_repo(family.preferences, repo_type="dataset")
    made(family, tmp_path, *overrides)  # paid for once
    assert (stub.calls, other.calls) == calls


def test_the_film_is_preferred(family, tmp_path):
    made(family, tmp_path, "preferences.source=corpus")
    rows = load_dataset(family.preferences, "preferences", split="train")
    labels = {row["prompt"][-1]["content"]: row for row in load_dataset(family.preferences, "labels", split="train")}
    for row in rows:
        assert row["chosen"][0]["content"] == labels[row["prompt"][-1]["content"]]["film_reply"]
        assert row["judge"] == preferences.FILM
    assert "one the film's own and one sampled" in DatasetCard.load(family.preferences).text


def test_another_judge_is_another_set_and_another_pace_is_not(family, tmp_path):
    def fingerprint(*overrides):
        recipe = load("training/recipes/starter.yaml", ["hub.namespace=pref", *overrides])
        return preferences.task(recipe).lineage.fingerprint

    judge = ["preferences.source=judge", "judge.model=a"]
    assert fingerprint() == fingerprint("judge.model=a")
    assert fingerprint(*judge) == fingerprint(*judge, "judge.in_flight=3", "judge.budget=1")
    assert len({fingerprint(), fingerprint(*judge), fingerprint(*judge, "judge.effort=low")}) == 3
