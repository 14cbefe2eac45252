"""Corpus files cut, shuffled, duplicated and overwritten: one clear error, or only pairs that the files really hold."""

import os
import random
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training.data.corpus import cornell
from training.data.corpus.assemble import CorpusError, WeightedCorpus, assemble
from training.data.corpus.text import clean, decode_western
from training.data.pairs import build_tables
from training.recipe_schema import Data

CASES = 4_000 if os.environ.get("REPARTEE_PROOF") else 300
SEPARATOR = b" +++$+++ "


def small_corpus() -> dict[str, bytes]:
    """Three films, a dozen conversations; every text is unlike every other."""
    lines, talks, number = [], [], 0
    for film in range(3):
        for talk in range(4):
            length = 2 + (film + talk) % 4
            ids = [f"L{number + place}" for place in range(length)]
            lines += [
                SEPARATOR.join([id.encode(), b"u%d" % (place % 2), b"m%d" % film, b"ADA", b"Text of %s." % id.encode()])
                for place, id in enumerate(ids)
            ]
            talks.append(SEPARATOR.join([b"u0", b"u1", b"m%d" % film, repr(ids).encode()]))
            number += length + 1
    titles = [
        b"m%d +++$+++ film %d +++$+++ 199%d +++$+++ 6.9 +++$+++ 62 +++$+++ ['drama']" % (n, n, n) for n in range(3)
    ]
    people = [b"u%d +++$+++ ADA +++$+++ m0 +++$+++ film 0 +++$+++ f +++$+++ 4" % n for n in range(2)]
    contents = (reversed(lines), talks, titles, people)
    return {name: b"\n".join(rows) + b"\n" for name, rows in zip(cornell.FILES, contents, strict=True)}


WHOLE = small_corpus()


def cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def shuffled(content: bytes, chance: random.Random) -> bytes:
    rows = content.split(b"\n")
    chance.shuffle(rows)
    return b"\n".join(rows)


def duplicated(content: bytes, chance: random.Random) -> bytes:
    rows = content.split(b"\n")
    return b"\n".join(row for row in rows for _ in range(chance.choice((1, 1, 2))))


def overwritten(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content) + 1)
    return content[:start] + chance.randbytes(chance.randrange(1, 40)) + content[start + chance.randrange(40) :]


def joined(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(content.count(b"\n") + 1)
    rows = content.split(b"\n")
    return b"\n".join(rows[:place]) + b"\n".join(rows[place:])


MUTATIONS = (cut, shuffled, duplicated, overwritten, joined)


def whole_text(content: bytes) -> str:
    return decode_western(content, Counter()).text


def texts_told(content: bytes) -> dict[str, set[str]]:
    """The texts that a file has for a line id, read without our reader."""
    texts: dict[str, set[str]] = {}
    for row in whole_text(content).split("\n"):
        fields = row.rstrip("\r").split(SEPARATOR.decode())
        texts.setdefault(fields[0], set()).add(SEPARATOR.decode().join(fields[4:]))
    return texts


@settings(max_examples=CASES, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
@given(
    st.lists(st.tuples(st.sampled_from(cornell.FILES), st.sampled_from(MUTATIONS)), min_size=1, max_size=4),
    st.integers(0, 2**32),
)
def test_no_mutation_makes_a_traceback_or_a_wrong_pair(mutations, seed):
    chance, files = random.Random(seed), dict(WHOLE)
    for name, mutation in mutations:
        files[name] = mutation(files[name], chance)
    texts, talks = texts_told(files[cornell.LINES_FILE]), whole_text(files[cornell.CONVERSATIONS_FILE])
    try:
        corpus = assemble(cornell.read(files))
    except CorpusError as error:
        refusal = str(error)
        assert "no conversation of two lines" in refusal
        assert "\n" not in refusal
        return
    counts = corpus.counts
    fates = ("lines in conversations", "lines left alone by a gap", "lines in no conversation", "lines without text")
    assert counts["lines"] == sum(counts[fate] for fate in fates)
    tables, dropped = build_tables([WeightedCorpus("mutated", 1, corpus)], Data())
    rows = [(split, row) for split, table in tables["pairs"].items() for row in table.to_pylist()]
    assert len(rows) + dropped.total() == counts["lines in conversations"] - counts["conversations"]
    home: dict[str, tuple[str, str]] = {}
    for split, row in rows:
        first, second = row["line_ids"]
        assert f"'{first}', '{second}'" in talks
        for id, raw, message in zip(
            row["line_ids"], row["raw_text"], [row["prompt"][1], *row["completion"]], strict=True
        ):
            assert raw in texts[id]
            assert [message["content"]] == clean(pa.array([raw]), counts).to_pylist()
            assert home.setdefault(id, (split, row["conversation_id"])) == (split, row["conversation_id"])


def test_the_whole_corpus_is_read_whole():
    corpus = assemble(cornell.read(WHOLE))
    assert corpus.counts["conversations"] == 12
    assert corpus.counts["lines"] == corpus.counts["lines in conversations"] == 42


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_mutations_change_something(mutation):
    content = WHOLE[cornell.LINES_FILE]
    assert any(mutation(content, random.Random(seed)) != content for seed in range(5))
