"""The real corpus, where it is on this machine: every count against one made by other means."""

import itertools
import os
import re
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from training.data.batches import WeightedSource
from training.data.corpus import sources
from training.data.corpus.assemble import WeightedCorpus
from training.data.pairs import build_dataset, build_tables
from training.data.splits import SPLIT_NAMES
from training.recipe_schema import Data

CORPUS = Path(os.environ.get("REPARTEE_CORPUS", "../shared/data/cornell/cornell_movie_dialogs_corpus.zip"))
pytestmark = pytest.mark.skipif(
    not CORPUS.exists(),
    reason=f"the Cornell corpus is no part of the repository, and there is none at {CORPUS}: set REPARTEE_CORPUS",
)


@pytest.fixture(scope="module")
def corpus():
    return sources.read(CORPUS)


@pytest.fixture(scope="module")
def tables(corpus):
    return build_tables([WeightedCorpus("cornell", 1, corpus)], Data())[0]


@pytest.fixture(scope="module")
def raw():
    """The raw files by other means: text by line id, film by line id, and the line ids of each conversation."""
    with zipfile.ZipFile(CORPUS) as archive:
        rows = {
            name.rsplit("/", 1)[1]: archive.read(name).decode("iso-8859-1").split("\n")
            for name in archive.namelist()
            if name.endswith(".txt") and "__MACOSX" not in name
        }
    texts, films = {}, {}
    for row in rows["movie_lines.txt"]:
        if row:
            id, _, film, _, *text = row.split(" +++$+++ ")
            texts[id], films[id] = (text or [""])[0], film
    talks = [re.findall(r"L\d+", row.split("+++$+++")[3]) for row in rows["movie_conversations.txt"] if row]
    return texts, films, talks


def test_counts(corpus, tables, raw):
    texts, films, talks = raw
    assert corpus.counts["lines"] == len(texts) == 304_713
    assert corpus.counts["conversations in the source"] == len(talks) == 83_097
    assert corpus.counts["films"] == len(set(films.values())) == 617
    spoken = [[bool(texts[id].strip()) for id in talk] for talk in talks]
    pairs = sum(one and other for talk in spoken for one, other in itertools.pairwise(talk))
    assert sum(len(table) for config in ("pairs", "dropped") for table in tables[config].values()) == pairs
    assert corpus.counts["gaps: empty line"] == sum(not said for talk in spoken for said in talk)


def test_every_pair_is_of_neighbours_and_conversations_rebuild(corpus, tables, raw):
    _texts, films, talks = raw
    after = {one: other for talk in talks for one, other in itertools.pairwise(talk)}
    rows = pa.concat_tables(
        table.select(["line_ids", "movie_id", "conversation_id", "prompt", "completion"])
        for config in ("pairs", "dropped")
        for table in tables[config].values()
    )
    links = rows["line_ids"].to_pylist()
    assert all(after[first] == second for first, second in links)
    assert all(films[second] == film for (_, second), film in zip(links, rows["movie_id"].to_pylist(), strict=True))
    said = {}
    for (first, second), prompt, completion in zip(
        links, rows["prompt"].to_pylist(), rows["completion"].to_pylist(), strict=True
    ):
        said[first], said[second] = prompt[1]["content"], completion[0]["content"]
    following = dict(links)
    openings = set(following) - set(following.values())
    rebuilt = {}
    for opening in openings:
        rebuilt[opening] = [opening]
        while rebuilt[opening][-1] in following:
            rebuilt[opening].append(following[rebuilt[opening][-1]])
    whole = pa.concat_tables(
        table.select(["line_ids", "messages"])
        for config in ("conversations", "dropped_conversations")
        for table in tables[config].values()
    )
    assert len(whole) == sum(map(len, tables["conversations"].values())) + 417
    assert len(rebuilt) == len(whole) == corpus.counts["conversations"]
    for ids, messages in zip(whole["line_ids"].to_pylist(), whole["messages"].to_pylist(), strict=True):
        assert rebuilt[ids[0]] == ids
        assert [said[id] for id in ids] == [message["content"] for message in messages]


def test_nothing_stands_in_two_splits(tables):
    for column in ("movie_id", "movie_title", "conversation_id"):
        found = [set(tables["pairs"][split][column].to_pylist()) for split in SPLIT_NAMES]
        assert sum(map(len, found)) == len(set.union(*found)), column
    lines = [{id for ids in tables["pairs"][split]["line_ids"].to_pylist() for id in ids} for split in SPLIT_NAMES]
    assert sum(map(len, lines)) == len(set.union(*lines))


@pytest.mark.parametrize("config", ["pairs", "conversations"])
def test_no_pair_of_words_is_trained_on_and_tested(tables, config):
    def words(split):
        rows = tables[config][split].to_pylist()
        talks = [row["prompt"][1:] + row["completion"] for row in rows] if config == "pairs" else None
        talks = talks or [row["messages"] for row in rows]
        return {(one["content"], other["content"]) for talk in talks for one, other in itertools.pairwise(talk)}

    train, validation, test = map(words, SPLIT_NAMES)
    assert not train & test
    assert not train & validation
    assert not validation & test


def test_genres_and_decades_are_balanced(tables, tmp_path_factory):
    made = build_dataset(
        [WeightedSource("cornell", 1, lambda first: sources.read_batches(CORPUS, first=first))],
        Data(),
        tmp_path_factory.mktemp("made"),
    )
    (source,) = made["sources"]
    assert source["counts"]["films"] == 617
    assert made["widest"]["genre"]["films"] <= 6
    assert made["widest"]["decade"]["films"] <= 6
    pairs = [len(tables["pairs"][split]) for split in SPLIT_NAMES]
    assert [round(100 * share / sum(pairs)) for share in pairs] == [62, 18, 20]
