"""The sample corpus: what its README says is planted is there, and is read as it should be."""

from collections import Counter
from pathlib import Path

from training import corpus
from training.recipe import Data

SAMPLE = Path("training/sample")


def test_counts():
    counts = corpus.read(SAMPLE).counts
    rows = (SAMPLE / "movie_conversations.txt").read_bytes().count(b"\n")
    assert counts["conversations in the file"] == counts["conversations"] == rows == 153
    assert counts["films"] == 12
    assert counts["gaps: empty line"] == counts["gaps: line id missing"] == 1
    assert counts["lines left alone by a gap"] == 2
    assert counts["lines"] == (SAMPLE / "movie_lines.txt").read_bytes().count(b"\n")


def test_every_split_has_films():
    films = {conversation.film.key for conversation in corpus.read(SAMPLE).conversations}
    assert Counter(corpus.split_of(film, Data().salt) for film in films) == {"train": 9, "test": 2, "validation": 1}


def test_quirks_are_in_the_bytes_and_not_in_the_text():
    raw = (SAMPLE / "movie_lines.txt").read_bytes()
    for quirk in (b"\x92", b"\x93", b"\x94", b"\x96", b"\x97", b"\x85", b"\xe9", b"<u>", b"<b>", b"   ", b"\t"):
        assert quirk in raw, quirk
    text = "\n".join(line.text for talk in corpus.read(SAMPLE).conversations for line in talk.lines)
    for mark in ("\u2019", "\u201c", "\u2013", "\u2014", "\u2026", "caf\u00e9"):
        assert mark in text, mark
    assert not any(mark in text for mark in ("<u>", "<b>", "  ", "\t", "\x92"))


def test_a_pair_stands_in_two_films():
    films = {
        talk.film.title
        for talk in corpus.read(SAMPLE).conversations
        if [line.text.replace("\u2019", "'") for line in talk.lines[:2]] == ["What?", "You heard me."]
    }
    assert len(films) == 2


def test_a_year_with_a_numeral_is_read():
    assert any(talk.film.year == 1995 for talk in corpus.read(SAMPLE).conversations)
    assert b"1995/I" in (SAMPLE / "movie_titles_metadata.txt").read_bytes()
