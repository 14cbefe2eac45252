"""The sample corpus: what its README says is planted is there, and is read as it should be."""

from collections import Counter
from pathlib import Path

import pytest

from training.data.corpus import sources
from training.data.corpus.assemble import WeightedCorpus
from training.data.pairs import build_tables
from training.data.splits import split_of
from training.recipe_schema import Data

SAMPLE = Path("training/sample")


@pytest.fixture(scope="module")
def sample():
    return sources.read(SAMPLE)


def test_counts(sample):
    counts = sample.counts
    rows = (SAMPLE / "movie_conversations.txt").read_bytes().count(b"\n")
    assert counts["conversations in the source"] == counts["conversations"] == rows == 153
    assert counts["films"] == 12
    assert counts["gaps: empty line"] == counts["gaps: line id missing"] == 1
    assert counts["lines left alone by a gap"] == 2
    assert counts["lines"] == (SAMPLE / "movie_lines.txt").read_bytes().count(b"\n")


def test_every_split_has_films(sample):
    splits = Counter(split_of(film.key, Data().salt) for film in sample.films)
    assert splits == {"train": 9, "test": 2, "validation": 1}


def test_quirks_are_in_the_bytes_and_not_in_the_text(sample):
    raw = (SAMPLE / "movie_lines.txt").read_bytes()
    for quirk in (b"\x92", b"\x93", b"\x94", b"\x96", b"\x97", b"\x85", b"\xe9", b"<u>", b"<b>", b"   ", b"\t"):
        assert quirk in raw, quirk
    text = "\n".join(sample.lines["text"].to_pylist())
    for mark in ("\u2019", "\u201c", "\u2013", "\u2014", "\u2026", "caf\u00e9"):
        assert mark in text, mark
    assert not any(mark in text for mark in ("<u>", "<b>", "  ", "\t", "\x92"))


def test_a_pair_stands_in_two_films_and_is_kept_once(sample):
    tables, _ = build_tables([WeightedCorpus("sample", 1, sample)], Data())
    (dropped,) = tables["dropped"]["train"].to_pylist()
    assert dropped["rule"] == "same prompt and reply in another film"
    texts = [dropped["prompt"][-1]["content"], dropped["completion"][0]["content"]]
    assert texts == ["What?", "You heard me."]
    kept = [row for table in tables["pairs"].values() for row in table.to_pylist()]
    assert sum([row["prompt"][-1]["content"], row["completion"][0]["content"]] == texts for row in kept) == 1


def test_a_year_with_a_numeral_is_read(sample):
    assert any(film.year == 1995 for film in sample.films)
    assert b"1995/I" in (SAMPLE / "movie_titles_metadata.txt").read_bytes()
