"""Film dialogue from any source, as columns.

A reader (`cornell`, `convokit`, `table`) says what stands in a source; `assemble` applies the same rules to all of
them. Nothing is dropped in silence: `Corpus.counts` says how often each rule was used. `sources` finds out which reader
a path, an address or a Hub id needs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from hub.errors import UserError
from hub.rights import UNKNOWN, Rights
from training.data.corpus.text import clean, whole, whole_ones

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T", int, float)
MISSING, LEFT_OUT = -1, -2
"""What stands for a line of a conversation that is not there, and for turns that are no dialogue; both are gaps."""
GAPS = {MISSING: "line id missing", LEFT_OUT: "turns that are no dialogue"}


class CorpusError(UserError):
    """The corpus cannot be read; the message says what, why and the cure in one line."""


class Film(NamedTuple):
    """Where conversations come from. What a source does not say is None."""

    id: str | None = None
    title: str | None = None
    year: int | None = None
    rating: float | None = None
    votes: int | None = None
    genres: tuple[str, ...] = ()
    script_url: str | None = None

    @property
    def key(self) -> str | None:
        """What the split is decided by: the title, so that a film lands on one side whichever corpus it came from."""
        return self.title or self.id


class Speaker(NamedTuple):
    """Who says a line; what a source does not say is "?" or None."""

    name: str
    gender: str = "?"  # "f", "m" or "?"
    position: int | None = None  # place in the credits, from 1


@dataclass
class Reading:
    """A source as it stands, before any rule is applied: what a reader returns."""

    films: list[Film]
    speakers: list[Speaker]
    line_ids: list[str]
    raw_text: list[str]
    speaker_of: list[int]  # by line, a place in `speakers`
    conversations: list[tuple[int, list[int]]]  # the place in `films`, the places of the lines, `MISSING`, `LEFT_OUT`
    counts: Counter[str] = field(default_factory=Counter)
    rights: Rights = UNKNOWN
    unread: str = ""
    """The first thing of a shape that is not read, and which are read: for the error where nothing is left."""


@dataclass
class Corpus:
    """Conversations of at least two lines, none empty; no line stands in two of them."""

    films: list[Film]
    film_of: np.ndarray  # (conversations,), a place in `films`
    starts: np.ndarray  # (conversations + 1,): conversation i holds the lines starts[i]:starts[i + 1]
    lines: pa.Table  # line_id, text, raw_text, speaker (name, gender, position); in the order in which they are spoken
    counts: Counter[str]
    rights: Rights = UNKNOWN

    def talks(self) -> Iterator[tuple[Film, list[str]]]:
        """Yields each conversation as its film and its cleaned lines."""
        texts, starts = self.lines["text"].to_pylist(), self.starts.tolist()
        for film, start, end in zip(self.film_of.tolist(), starts, starts[1:], strict=False):
            yield self.films[film], texts[start:end]


def assemble(reading: Reading) -> Corpus:
    """Cleans the lines, and ends a conversation at each that is missing, empty or used before: no pair spans a gap.

    Raises:
        CorpusError: no conversation is left.
    """
    import pyarrow as pa

    counts = reading.counts
    raw_text = whole_ones(reading.raw_text)
    films = [
        film._replace(**{name: whole_value(value) for name, value in film._asdict().items()}) for film in reading.films
    ]
    texts = clean(raw_text, counts)
    free = [bool(text) for text in texts]
    order: list[int] = []
    starts, film_of = [0], []
    for film, lines in reading.conversations:
        for run in runs(lines, free, texts, counts):
            if len(run) >= 2:
                order += run
                starts.append(len(order))
                film_of.append(film)
            elif run:
                counts["lines left alone by a gap"] += 1
    if not film_of:
        seen = reading.unread or "each needs two neighbouring lines with text"
        raise CorpusError(f"no conversation of two lines could be read ({spell(counts)}); {seen}")
    counts["lines"] = len(texts)
    counts["lines without text"] = texts.count("")
    counts["lines in no conversation"] = sum(free)
    counts["conversations"] = len(film_of)
    counts["lines in conversations"] = len(order)
    counts["films"] = len(set(film_of))
    speakers = pa.array(
        [speaker._replace(name=whole(speaker.name))._asdict() for speaker in reading.speakers],
        pa.struct({"name": pa.string(), "gender": pa.string(), "position": pa.int32()}),
    )
    lines_as_read = pa.table(
        {
            "line_id": pa.array(whole_ones(reading.line_ids), pa.string()),
            "text": pa.array(texts, pa.string()),
            "raw_text": pa.array(raw_text, pa.string()),
            "speaker": speakers.take(pa.array(reading.speaker_of, pa.int32())),
        }
    )
    return Corpus(films, np.array(film_of), np.array(starts), lines_as_read.take(order), counts, reading.rights)


def runs(lines: list[int], free: list[bool], texts: list[str], counts: Counter[str]) -> Iterator[list[int]]:
    """Yields the stretches between gaps: lines missing, left out, empty, or taken by an earlier conversation."""
    run: list[int] = []
    for line in lines:
        if line >= 0 and free[line]:
            free[line] = False
            run.append(line)
            continue
        counts[f"gaps: {GAPS.get(line) or ('line used before' if texts[line] else 'empty line')}"] += 1
        yield run
        run = []
    yield run


def whole_value(value: Any) -> Any:
    """Makes the texts in a film's facts whole."""
    if isinstance(value, tuple):
        return tuple(map(whole, value))
    return whole(value) if isinstance(value, str) else value


def parse_number(convert: Callable[[Any], T], value: Any) -> T | None:
    """What a source says of a year, a rating or a place in the credits, where it is a number that a column holds."""
    try:
        converted = convert(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return converted if 0 <= converted < 2**31 else None


def spell(counts: Counter[str]) -> str:
    """Counts by name in one line, for messages."""
    return ", ".join(f"{name}: {count:,}" for name, count in counts.items() if count) or "it is empty"


@dataclass(frozen=True)
class WeightedCorpus:
    """A corpus, what its rows say in `source`, and how often its train pairs are taken."""

    name: str
    weight: float
    corpus: Corpus
