"""Preference sets from each source, on a small base and a stub judge: rows, drops, redraws, costs."""

import pytest
from datasets import load_dataset
from huggingface_hub import DatasetCard, HfApi

from chat.generate import Reply
from hub.errors import UserError
from hub.lineage import fetch_lineage
from hub.names import Names
from training.base import publish
from training.data import prepare
from training.feedback import labels, preferences
from training.feedback.pair_sources import LabelledSet
from training.feedback.sampling import pair_defect, sampled, similarity
from training.finetune import dpo
from training.recipe import load
from training.recipe_preferences import Preferences

OVERRIDES: list[str] = []


def reply(text, finish_reason="<|im_end|>"):
    return Reply(text, finish_reason, 3)


def test_what_makes_a_pair_useless():
    assert pair_defect((reply("Yes."), reply("No."))) is None
    assert pair_defect((reply(" "), reply("No."))) == "an empty reply"
    assert pair_defect((reply("Yes.", "length"), reply("No."))) == "a reply that did not end"
    assert pair_defect((reply("I said no."), reply("i said  NO."))) == "replies alike"
    assert similarity("a b c d", "a x c d") == pytest.approx(0.75)
    assert similarity("a b", "c d") == 0


def test_useless_pairs_are_drawn_again_a_bounded_number_of_times(monkeypatch, tmp_path):
    seen = []

    def draw(path, variants, prompts, names, sampling, seed):
        seen.append((len(prompts), seed))
        texts = {
            1: ["Yes.", "No.", "Same.", "same.", "", "x"],
            1001: ["Same.", "Same.", "Now.", "Then."],
            2001: ["A.", "A."],
        }
        return [reply(text) for text in texts[seed]]

    monkeypatch.setattr("chat.resumable.generate_resumable", draw)
    prompts = [{"prompt": [{"role": "user", "content": str(n)}]} for n in range(3)]
    contest = sampled(None, prompts, Preferences(redraws=2), tmp_path)
    assert seen == [(6, 1), (4, 1001), (2, 2001)]
    assert [tuple(r.text for r in pair) for pair in contest.pairs] == [("Yes.", "No."), ("A.", "A."), ("Now.", "Then.")]
    assert contest.seeds == [1, 2001, 1001]
    assert contest.counts == {"pairs drawn again": 3, "after the last draw: replies alike": 1}


def label(ahead, swapped, first="Yes.", second="No."):
    return labels.LabelledPair(
        prompt=[{"role": "user", "content": "Well?"}], scene={"movie_id": "m0"}, film_reply=None,
        responses=(first, second), ended=("<|im_end|>", "<|im_end|>"), seed=1, judge="stub",
        first_wins=(ahead, swapped), probability=(ahead + 1 - swapped) / 2,
        second_judge=None, second_first_wins=None, sft_revision="s" * 40,
    )  # fmt: skip


def test_rows_have_the_published_columns_in_their_order_and_come_back():
    pair = label(0.9, 0.2)
    assert list(pair.to_row()) == [
        "prompt", "scene", "film_reply", "responses", "ended", "seed", "judge", "first_wins", "probability",
        "second_judge", "second_first_wins", "sft_revision", "dropped",
    ]  # fmt: skip
    assert pair.to_row()["responses"] == ["Yes.", "No."]
    assert labels.LabelledPair.from_row(pair.to_row()) == pair
    assert list(labels.to_dpo_row(pair)) == [
        "prompt", "chosen", "rejected", "margin", "scene", "responses", "judge", "first_wins", "probability",
        "sft_revision",
    ]  # fmt: skip
    assert labels.to_dpo_row(pair)["chosen"] == [{"role": "assistant", "content": "Yes."}]


def test_tables_have_the_published_types():
    """Written down from the rows that stood as literals before `LabelledPair`."""
    pair = label(0.9, 0.2)
    prompts = [{"prompt": pair.prompt, "scene": pair.scene, "film_reply": "Go."}]
    tables = preferences.preference_tables(LabelledSet(prompts, [pair], {}), [labels.to_dpo_row(pair)])
    types = {config: [str(kind) for kind in table["train"].schema.types] for config, table in tables.items()}
    messages = "list<item: struct<role: string, content: string>>"
    scene, texts, numbers = "struct<movie_id: string>", "list<item: string>", "list<item: double>"
    judged = ["string", numbers, "double"]  # judge, first_wins, probability
    assert types == {
        "preferences": [messages, messages, messages, "double", scene, texts, *judged, "string"],
        "labels": [messages, scene, "null", texts, texts, "int64", *judged, "null", "null", "string", "string"],
        "prompts": [messages, scene, "string"],
    }


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
    assert labels.reason_to_drop(row, Preferences(**settings)) == reason


@pytest.fixture(scope="module")
def family(hub_url, tiny_base, tiny_adapter, tmp_path_factory):
    """A namespace with the sample's dataset, a small base and a random SFT adapter; every recipe below starts so."""
    OVERRIDES[:] = ["hub.namespace=pref", f"model.base={tiny_base}"]
    recipe = load("training/recipes/starter.yaml", OVERRIDES)
    prepare.STAGE.run(recipe, tmp_path_factory.mktemp("w"))
    publish.STAGE.run(recipe, tmp_path_factory.mktemp("w"))
    names = Names("pref", "starter")
    HfApi().create_repo(names.adapter("sft"))
    HfApi().upload_folder(repo_id=names.adapter("sft"), folder_path=tiny_adapter)
    return names


def made(family, tmp_path, *overrides):
    recipe = load("training/recipes/starter.yaml", [*OVERRIDES, "preferences.prompts=12", *overrides])
    preferences.STAGE.run(recipe, tmp_path)
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
    facts = fetch_lineage(family.preferences, "dataset")[1].facts
    assert facts["cost"].startswith("stub: ")
    assert "price unknown" in facts["cost"]
    card = DatasetCard.load(family.preferences).text
    assert "The judge is **stub** (log-probabilities of 20 alternatives" in card
    assert "A second judge, other," in card
    calls = (stub.calls, other.calls)
    HfApi().delete_repo(family.preferences, repo_type="dataset")
    made(family, tmp_path, *overrides)  # paid for once
    assert (stub.calls, other.calls) == calls


def test_an_embedded_judge_labels_with_its_card_or_is_refused(family, tmp_path):
    with pytest.raises(UserError, match=r"PMI under the base model does not qualify to label .*allow_unqualified"):
        made(family, tmp_path, "preferences.allow_unqualified=false")
    made(family, tmp_path, "preferences.source=mean-pmi:sft", "preferences.min_margin=0")
    facts = fetch_lineage(family.preferences, "dataset")[1].facts
    assert facts["qualification"]["judge"] == facts["judge"] == "mean PMI under the SFT model"
    assert "**NOT QUALIFIED (" in DatasetCard.load(family.preferences).text


def test_the_film_is_preferred(family, tmp_path):
    made(family, tmp_path, "preferences.source=corpus")
    rows = load_dataset(family.preferences, "preferences", split="train")
    judged = {row["prompt"][-1]["content"]: row for row in load_dataset(family.preferences, "labels", split="train")}
    for row in rows:
        assert row["chosen"][0]["content"] == judged[row["prompt"][-1]["content"]]["film_reply"]
        assert row["judge"] == labels.FILM_JUDGE
    assert "one the film's own and one sampled" in DatasetCard.load(family.preferences).text


def test_a_server_samples_the_replies(family, starter, tmp_path, capsys):
    from transformers import AutoTokenizer

    from chat.template import configure_tokenizer
    from tests.support.completions_stub import Stub, serving

    asked = ["preferences.source=corpus", "preferences.redraws=0"]
    with serving(Stub(configure_tokenizer(AutoTokenizer.from_pretrained(starter)))) as stub:
        made(family, tmp_path, *asked, f"preferences.server={stub.url}")
        seeds = [body["seed"] for body in stub.asked if body.get("stream")]
        assert len(set(seeds)) == len(seeds) == 24
        rows = load_dataset(family.preferences, "labels", split="train")
        assert {row["responses"][1] for row in rows} <= {f"sft {row['prompt'][-1]['content']}" for row in rows}
    lineage = fetch_lineage(family.preferences, "dataset")[1]
    assert lineage.settings["sampled_by"] == "a server"
    assert stub.url not in lineage.to_json()
    with pytest.raises(UserError, match=r"cannot be reached.*preferences\.server"):
        made(family, tmp_path / "again", *asked, "preferences.seed=2", f"preferences.server={stub.url}")


def vote(number, chosen, replies=None):
    replies = replies or {"base": f"base {number}", "sft": f"sft {number}", "dpo": f"dpo {number}"}
    shown = [["base"], ["sft", "dpo"]] if replies["sft"] == replies["dpo"] else [["dpo"], ["base"], ["sft"]]
    return {
        "comparison": f"c{number}", "time": "2026-01-01T00:00Z", "replies": replies, "shown": shown, "chosen": chosen,
        "prompt": [{"role": "system", "content": "x"}, {"role": "user", "content": f"Line {number}?"}],
        "choice": "1" if chosen else "tie", "revisions": {"sft": "s" * 40}, "sampling": {"temperature": 0.9},
    }  # fmt: skip


def test_people_prefer_and_dpo_trains_on_it(family, tmp_path):
    import json

    from huggingface_hub import CommitOperationAdd

    same = {"base": "b", "sft": "Same.", "dpo": "Same."}
    votes = [vote(1, ["dpo"]), vote(2, []), vote(3, ["sft", "dpo"], same), vote(4, ["base"])]
    HfApi().create_repo(family.votes, repo_type="dataset")
    with pytest.raises(UserError, match="no vote"):
        made(family, tmp_path / "none", "preferences.source=votes")
    content = "".join(json.dumps(row) + "\n" for row in votes).encode()
    HfApi().create_commit(
        family.votes, [CommitOperationAdd("data/a.jsonl", content)], commit_message="v", repo_type="dataset"
    )
    recipe = made(family, tmp_path, "preferences.source=votes")
    rows = load_dataset(family.preferences, "preferences", split="train")
    pairs = sorted((row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in rows)
    assert pairs == [("Same.", "b"), ("base 4", "dpo 4"), ("base 4", "sft 4"), ("dpo 1", "base 1"), ("dpo 1", "sft 1")]
    assert set(rows["judge"]) == {labels.PEOPLE}
    assert fetch_lineage(family.preferences, "dataset")[1].facts["counts"]["votes for none"] == 1
    assert "by the model variants of the page, one of them preferred" in DatasetCard.load(family.preferences).text
    assert preferences.preferences_task(recipe).lineage.inputs[-1].repo == family.votes
    few = ["model.lora.r=4", "model.lora.alpha=8", "dpo.max_steps=1", "dpo.per_device_train_batch_size=2"]
    dpo.STAGE.run(load("training/recipes/starter.yaml", [*OVERRIDES, *few]), tmp_path)
    found = fetch_lineage(family.adapter("dpo"), "model")
    assert found
    assert found[1].facts["pairs"] == 5
    assert family.preferences in {made.repo for made in found[1].inputs}


def test_another_judge_is_another_set_and_another_pace_is_not(family, tmp_path):
    def fingerprint(*overrides):
        recipe = load("training/recipes/starter.yaml", [*OVERRIDES, *overrides])
        return preferences.preferences_task(recipe).lineage.fingerprint

    judge = ["preferences.source=judge", "judge.model=a"]
    assert fingerprint() == fingerprint("judge.model=a")
    assert fingerprint(*judge) == fingerprint(*judge, "judge.in_flight=3", "judge.budget=1")
    assert len({fingerprint(), fingerprint(*judge), fingerprint(*judge, "judge.effort=low")}) == 3
