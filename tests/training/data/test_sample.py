"""The sample corpus: what its README says is planted is there, and is read as it should be."""

import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
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
    assert counts["conversations in the source"] == counts["conversations"] == rows == 353
    assert counts["films"] == 45
    assert counts["gaps: empty line"] == counts["gaps: line id missing"] == 1
    assert counts["lines left alone by a gap"] == 2
    assert counts["lines"] == (SAMPLE / "movie_lines.txt").read_bytes().count(b"\n") == 1312


def test_every_split_has_films_enough_for_a_verdict(sample):
    splits = Counter(split_of(film.key, Data().salt) for film in sample.films)
    assert splits == {"train": 27, "test": 12, "validation": 6}


def test_every_film_has_conversations_of_all_of_its_characters(sample):
    assert min(Counter(sample.film_of.tolist())[film] for film in range(len(sample.films))) >= 5
    rows = {
        name: [row.split(" +++$+++ ") for row in (SAMPLE / name).read_text("cp1252").split("\n") if row]
        for name in ("movie_characters_metadata.txt", "movie_lines.txt", "movie_titles_metadata.txt")
    }
    titles = {row[0]: row[1] for row in rows["movie_titles_metadata.txt"]}
    credits = {(row[0], row[2], row[1]) for row in rows["movie_characters_metadata.txt"]}
    assert {(row[1], row[2], row[3]) for row in rows["movie_lines.txt"]} == credits
    assert all(titles[row[2]] == row[3] for row in rows["movie_characters_metadata.txt"])
    assert len(set(titles.values())) == len(titles)


def test_no_line_stands_in_two_films_but_the_planted_pair(sample):
    films = defaultdict(set)
    texts = sample.lines["text"].to_pylist()
    for text, film in zip(texts, np.repeat(sample.film_of, np.diff(sample.starts)).tolist(), strict=True):
        films[re.sub(r"\W+", " ", text.replace("\u2019", "'")).strip().casefold()].add(film)
    assert {text for text, found in films.items() if len(found) > 1} == {"what", "you heard me"}


def test_lines_and_conversations_are_as_long_as_films_have_them(sample):
    words = [len(text.split()) for text in sample.lines["text"].to_pylist()]
    assert (min(words), max(words)) == (1, 30)
    assert 7 < np.mean(words) < 10.6  # of Cornell's 10.5
    turns = np.diff(sample.starts)
    assert (turns.min(), turns.max()) == (2, 12)


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
