"""Film dialogue from any source, as columns.

A reader (`cornell`, `convokit`, `table`) says what stands in a source; `assemble` applies the same rules to all of
them. Nothing is dropped in silence: `Corpus.counts` says how often each rule was used. `sources` finds out which reader
a path, an address or a Hub id needs. A reader returns one `Reading`, or yields one after the other where a source may
be larger than memory: no line and no conversation stands in two of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from hub.errors import UserError
from hub.rights import UNKNOWN, Rights
from training.data.corpus.text import clean, string_column, whole

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

    films: list[Film] = field(default_factory=list)
    speakers: list[Speaker] = field(default_factory=list)
    line_ids: list[str] | pa.Array = field(default_factory=list)
    raw_text: list[str] | pa.Array = field(default_factory=list)
    speaker_of: list[int] | pa.Array = field(default_factory=list)  # by line, a place in `speakers`
    conversations: list[tuple[int, list[int]]] = field(default_factory=list)
    """The place in `films`, and the places of the lines, `MISSING`, `LEFT_OUT`."""
    counts: Counter[str] = field(default_factory=Counter)
    rights: Rights = UNKNOWN
    unread: str = ""
    """The first thing of a shape that is not read, and which are read: for the error where nothing is left."""
    rows: int = 0
    """Rows of the source up to the end of this reading, where one of several; 0 where it is not read by rows."""


@dataclass
class Corpus:
    """Conversations of at least two lines, none empty; no line stands in two of them."""

    films: list[Film]
    film_of: np.ndarray  # (conversations,), a place in `films`
    starts: np.ndarray  # (conversations + 1,): conversation i holds the lines starts[i]:starts[i + 1]
    lines: pa.Table  # line_id, text, raw_text, speaker (name, gender, position); in the order in which they are spoken
    counts: Counter[str]
    rights: Rights = UNKNOWN
    rows: int = 0  # as `Reading.rows`

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
    (corpus,) = assemble_each([reading])
    return corpus


def assemble_each(readings: Iterable[Reading], first: int = 0) -> Iterator[Corpus]:
    """Assembles the readings of one source, one at a time.

    Raises:
        CorpusError: no conversation is left at the end of a source that was read from its start, not from row `first`.
    """
    counts, unread, found = Counter[str](), "", False
    for reading in readings:
        corpus = assemble_one(reading)
        counts.update(corpus.counts)
        unread = unread or reading.unread
        found = found or len(corpus.film_of) > 0
        yield corpus
    if not found and not first:
        seen = unread or "each needs two neighbouring lines with text"
        raise CorpusError(f"no conversation of two lines could be read ({spell(counts)}); {seen}")


def assemble_one(reading: Reading) -> Corpus:
    """One reading by the rules of `assemble`; of several, one may be left without any conversation."""
    import pyarrow.compute as pc

    counts = reading.counts
    raw_text = string_column(reading.raw_text)
    films = [
        film._replace(**{name: whole_value(value) for name, value in film._asdict().items()}) for film in reading.films
    ]
    texts = clean(raw_text, counts)
    spoken = pc.not_equal(texts, "").to_numpy(zero_copy_only=False)
    order, starts, talks = stretches([lines for _, lines in reading.conversations], spoken, counts)
    film_of = np.array([film for film, _ in reading.conversations], dtype=np.int64)[talks]
    counts["lines"] = len(texts)
    counts["lines without text"] = len(texts) - int(spoken.sum())
    counts["conversations"] = len(film_of)
    counts["lines in conversations"] = len(order)
    counts["films"] = len(np.unique(film_of))
    lines_as_read = line_table(reading, texts, raw_text).take(order)
    return Corpus(films, film_of, starts, lines_as_read, counts, reading.rights, reading.rows)


def line_table(reading: Reading, texts: pa.Array, raw_text: pa.Array) -> pa.Table:
    """The lines of a reading as `Corpus.lines` has them, in the order of the reading."""
    import pyarrow as pa

    names, genders, positions = zip(*reading.speakers, strict=True) if reading.speakers else ((), (), ())
    speakers = pa.StructArray.from_arrays(
        [
            pa.array([whole(name) for name in names], pa.string()),
            pa.array(genders, pa.string()),
            pa.array(positions, pa.int32()),
        ],
        list(Speaker._fields),
    )
    return pa.table(
        {
            "line_id": string_column(reading.line_ids),
            "text": texts,
            "raw_text": raw_text,
            "speaker": speakers.take(pa.array(reading.speaker_of, pa.int32())),
        }
    )


def stretches(
    conversations: list[list[int]], spoken: np.ndarray, counts: Counter[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cuts conversations at gaps: lines missing, left out, empty, or taken by an earlier conversation.

        lines [4, 5, MISSING, 6 | 5, 7, 8]  ->  places [4, 5, 7, 8], starts [0, 2, 4], conversations [0, 1]

    Args:
        conversations: of each the places of its lines, or what stands for them.
        spoken: (lines,), whether a line has text.
        counts: of the gaps, of lines left alone between two, and of lines that no conversation has.

    Returns:
        Places of the lines of all stretches of two lines or more, their starts, (stretches + 1,), and the conversation
        of each.
    """
    lines = np.fromiter(chain.from_iterable(conversations), np.int64)
    talk = np.repeat(np.arange(len(conversations)), np.fromiter(map(len, conversations), np.int64))
    there = np.flatnonzero(lines >= 0)
    first = np.full(len(spoken), -1)
    first[lines[there[::-1]]] = there[::-1]  # of equal ones the last that is written stays
    free = np.zeros(len(lines), dtype=bool)
    free[there] = spoken[lines[there]] & (first[lines[there]] == there)
    gaps = {name: lines == code for code, name in GAPS.items()}
    gaps["empty line"] = (lines >= 0) & ~np.append(spoken, False)[lines]
    gaps["line used before"] = ~np.logical_or.reduce([free, *gaps.values()])
    counts.update({f"gaps: {name}": int(found.sum()) for name, found in gaps.items() if found.any()})
    opening = free.copy()
    opening[1:] &= ~free[:-1] | (talk[1:] != talk[:-1])
    of_line = np.cumsum(opening[free]) - 1
    sizes = np.bincount(of_line)
    kept = sizes >= 2
    counts["lines left alone by a gap"] += int((~kept).sum())
    counts["lines in no conversation"] = int(spoken.sum() - free.sum())
    return lines[free][kept[of_line]], np.concatenate([[0], np.cumsum(sizes[kept])]), talk[opening][kept]


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
