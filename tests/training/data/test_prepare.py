"""The dialogue dataset as its consumers see it: on the Hub, by every loader, with a card that answers questions."""

import json
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from datasets import load_dataset
from huggingface_hub import DatasetCard, HfApi
from huggingface_hub.errors import RepositoryNotFoundError

from hub.errors import UserError
from training.data import prepare
from training.data.corpus import convokit, cornell
from training.data.corpus.sources import read
from training.recipe import load
from training.recipe_schema import Source

RECIPE = "training/recipes/starter.yaml"
PAIRS = {"train": 583, "validation": 124, "test": 248}  # of the sample corpus


def recipe(namespace: str, *overrides: str):
    return load(RECIPE, [f"hub.namespace={namespace}", *overrides])


@pytest.fixture(scope="module")
def published(hub_url, tmp_path_factory):
    """The repository of the sample's dataset, and its commit."""
    work = tmp_path_factory.mktemp("work")
    return "films/repartee-dialogue", prepare.STAGE.run(recipe("films"), work)


def address(hub_url: str, repo: str, path: str) -> str:
    return f"{hub_url}/datasets/{repo}/resolve/main/{path}"


def test_every_loader_reads_it(hub_url, published):
    repo, _ = published
    pairs = load_dataset(repo)
    assert {split: len(rows) for split, rows in pairs.items()} == PAIRS
    assert len(load_dataset(repo, "conversations", split="train")) == 222
    assert load_dataset(repo, "dropped", split="train")["rule"] == ["same prompt and reply in another film"]
    for split, rows in pairs.items():
        url = address(hub_url, repo, f"pairs/{split}.parquet")
        assert next(iter(load_dataset(repo, split=split, streaming=True))) == rows[0]
        assert pd.read_parquet(url)["conversation_id"].tolist() == rows["conversation_id"]
        assert pl.read_parquet(url)["line_ids"].to_list() == rows["line_ids"]


def test_trl_takes_it_as_it_is(published, starter, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from chat.template import configure_tokenizer

    arguments = SFTConfig(output_dir=str(tmp_path), max_length=512, bf16=False, use_cpu=True, report_to="none")
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(starter),
        args=arguments,
        train_dataset=load_dataset(published[0], split="test"),
        processing_class=configure_tokenizer(AutoTokenizer.from_pretrained(starter)),
    )
    assert len(trainer.train_dataset) == PAIRS["test"]
    row = trainer.train_dataset[0]
    assert -100 in row["labels"]
    assert any(label != -100 for label in row["labels"])


def test_republishing_makes_no_commit(published, tmp_path, capsys):
    repo, revision = published
    assert prepare.STAGE.run(recipe("films"), tmp_path) == revision
    assert "up to date" in capsys.readouterr().out
    assert HfApi().dataset_info(repo).sha == revision
    assert len(HfApi().list_repo_commits(repo, repo_type="dataset")) == 2  # its creation and this one


def test_another_source_or_setting_makes_another_dataset(published, tmp_path):
    (tmp_path / "new.jsonl").write_text(
        json.dumps({"dialog": ["Who goes?", "A friend."], "movie_title": "Dusk"}) + "\n"
    )
    revision = prepare.STAGE.run(
        recipe("more", f"data.sources=[training/sample, {{path: {tmp_path}/new.jsonl, weight: 2}}]"), tmp_path
    )
    assert revision != published[1]
    rows = [row for split in load_dataset("more/repartee-dialogue").values() for row in split]
    assert {row["source"] for row in rows} == {"sample", "new"}
    assert DatasetCard.load("more/repartee-dialogue").data.license == "unknown"


def test_sources_of_several_kinds_keep_name_and_licence(hub_url, tmp_path):
    films = tmp_path / "films"
    films.mkdir()
    (films / "Dusk (1995).srt").write_text(
        "1\n00:00:01,000 --> 00:00:02,000\n[wind]\nTea?\n\n2\n00:00:03,000 --> 00:00:04,000\n- Please.\n"
    )
    (tmp_path / "spolin.json").write_text(json.dumps({"yesands": {"a": [{"p": "The tide is in.", "r": "So are we."}]}}))
    given = f"[training/sample, {{path: {films}, license: mit}}, {{path: {tmp_path}/spolin.json, name: improv}}]"
    prepare.STAGE.run(recipe("several", f"data.sources={given}"), tmp_path / "work")
    card = DatasetCard.load("several/repartee-dialogue").text
    for line in ("`films`: mit", "`improv`: cc-by-nc-4.0", "| sound descriptions taken out | 1 |", "SPOLIN"):
        assert line in card
    rows = [row for split in load_dataset("several/repartee-dialogue").values() for row in split]
    found = {row["source"]: (row["movie_title"], row["raw_text"]) for row in rows if row["source"] != "sample"}
    assert found == {"films": ("Dusk", ["Tea?", "Please."]), "improv": (None, ["The tide is in.", "So are we."])}


def test_what_changes_a_source_changes_the_fingerprint_and_names_are_told_apart(tmp_path):
    def fingerprint(**settings):
        data = recipe("x", f"data.sources=[{json.dumps({'path': 'training/sample', **settings})}]").data
        return prepare.lineage_of(data, prepare.located(data, tmp_path)).fingerprint

    changes = ({}, {"name": "n"}, {"weight": 2}, {"config": "c"}, {"license": "mit"}, {"silence": 3})
    changes += ({"columns": {"messages": "turns"}},)
    assert len({fingerprint(**change) for change in changes}) == len(changes)
    plain, english = (recipe("x", f"data.language={language}").data for language in ("null", "en"))
    settings = [prepare.lineage_of(data, prepare.located(data, tmp_path)).settings["data"] for data in (plain, english)]
    assert "language" not in settings[0]  # datasets of before it was there stay up to date
    assert set(settings[0]["sources"][0]) == {"name", "weight", "config", "license"}
    assert settings[1] == settings[0] | {"language": "en"}
    with pytest.raises(UserError, match="two sources are named sample"):
        prepare.located(recipe("x", "data.sources=[training/sample, training/sample]").data, tmp_path)


def test_the_card_answers(published):
    card = DatasetCard.load(published[0])
    assert card.data.license == "apache-2.0"
    assert card.data.size_categories == ["n<1K"]
    infos = {info["config_name"]: info for info in card.data.dataset_info}
    assert {split["name"]: split["num_examples"] for split in infos["pairs"]["splits"]} == PAIRS
    text = card.text
    assert "| `pairs` | 583 | 124 | 248 |" in text
    assert "| pairs dropped: same prompt and reply in another film | 1 |" in text
    assert "![How long lines and conversations are](lengths.png)" in text
    assert "`repartee-sample`: apache-2.0" in text
    assert "Licence and citation" not in text
    lines = text.splitlines()
    for above, row in pairwise(lines):
        if above.startswith("|") and row:  # in a table, every row has the cells of its head
            assert row.count("|") == above.count("|"), row


def test_the_cornell_corpus_is_known_by_its_films_and_cited_in_either_form(hub_url, tmp_path):
    titles = (Path("training/sample") / cornell.TITLES_FILE).read_bytes().split(b"\n")
    titles[0] = b" +++$+++ ".join([b"m0", b"10 things i hate about you", *titles[0].split(b" +++$+++ ")[2:]])
    shutil.copytree("training/sample", tmp_path / "theirs")
    (tmp_path / "theirs" / cornell.TITLES_FILE).write_bytes(b"\n".join(titles))
    prepare.STAGE.run(recipe("theirs", f"data.sources={tmp_path}/theirs"), tmp_path)
    card = DatasetCard.load("theirs/repartee-dialogue")
    assert card.data.license_name == "cornell-movie-dialogs-no-formal-licence"
    assert card.text.count("@inproceedings") == 1
    again = prepare.source_rights(
        *(prepare.located(recipe("x", "data.sources=theirs/repartee-dialogue").data, tmp_path)),
        Source("theirs/repartee-dialogue"),
        read("training/sample").rights,
    )
    assert again == cornell.RIGHTS  # a dataset of ours hands on what it was made of
    conversation = {"meta": {"movie_idx": "m0", "movie_name": "10 things i hate about you"}}
    said = [{"id": id, "conversation_id": "L1", "speaker": "u", "text": "What?"} for id in ("L1", "L2")]
    said[1]["reply_to"] = "L1"
    files = {
        "utterances.jsonl": "\n".join(map(json.dumps, said)),
        "conversations.json": json.dumps({"L1": conversation}),
    }
    reading = convokit.read({name: text.encode() for name, text in {**files, "speakers.json": "{}"}.items()})
    assert reading.rights == cornell.RIGHTS


def test_a_dry_run_shows_everything_and_sends_nothing(hub_url, tmp_path):
    command = [sys.executable, "-m", "training.prepare", "--dry-run", "--work", str(tmp_path), "hub.namespace=dry"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"test pairs: {PAIRS['test']}" in said
    assert "dataset dry/repartee-dialogue: would be one commit on not there yet" in said
    assert "  new       pairs/train.parquet (" in said
    assert "+# Repartee dialogue" in said
    (folder,) = [Path(line.split(" in ")[1]) for line in said.splitlines() if "to be looked at" in line]
    assert all((folder / name).exists() for name in ("pairs/train.parquet", "README.md", "lengths.png"))
    with pytest.raises(RepositoryNotFoundError):
        HfApi().dataset_info("dry/repartee-dialogue")


def test_a_corpus_too_small_for_three_splits_says_so(hub_url, tmp_path):
    (tmp_path / "new.jsonl").write_text(json.dumps({"dialog": ["Who goes?", "A friend."]}) + "\n")
    with pytest.raises(UserError, match="no pair falls into") as caught:
        prepare.STAGE.run(recipe("small", f"data.sources={tmp_path}/new.jsonl"), tmp_path)
    assert "\n" not in str(caught.value)


def test_the_packing_report_needs_no_training(published, capsys):
    from training.base import publish
    from training.data import packing

    publish.STAGE.run(recipe("films"), Path())
    packing.report_packing(recipe("films"), Path())
    said = capsys.readouterr().out
    assert f"[packing] pairs: {PAIRS['train']}" in said
    assert "[packing] fill: 0." in said
    with pytest.raises(UserError, match="does not pack"):
        packing.report_packing(recipe("films", "sft.packing=false"), Path())
