"""Reads conversations from a table: a JSONL, JSON or parquet file, or any dataset of the Hub.

A row is one conversation, in one of the columns `MESSAGES`; `turns` says which shapes of it are read. Where there are
columns of a film's, in the names of our own dataset or in common ones, they are taken as well. System and tool turns
are no part of a conversation, which ends there; turns of one speaker in a row are one turn. Rows are read in batches,
so that a table may be larger than memory (but for a .json file that is one list).
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from training.data.corpus.assemble import LEFT_OUT, Film, Reading, Speaker, parse_number
from training.data.corpus.tables.turns import SHAPES_READ, ShapeError, Turn, spell_keys, spell_shape, turns_of

LINES_AT_ONCE = 100_000
"""Lines of a batch: what is in memory of a source, whatever its size."""
ROWS_AT_ONCE = 2_000  # of a parquet file, decoded together
MESSAGES = ("messages", "conversations", "conversation", "dialog", "dialogue", "utterances")
FILM_COLUMNS = {
    "id": ("movie_id", "film_id", "imdb_id"),
    "title": ("movie_title", "title", "movie"),
    "year": ("year",),
    "rating": ("rating",),
    "votes": ("votes",),
    "genres": ("genres", "genre"),
    "script_url": ("script_url",),
}


def parquet_rows(path: Path) -> Iterator[Any]:
    """Yields the rows of a parquet file. Raises OSError or ValueError where it cannot be parsed."""
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(path, pre_buffer=False).iter_batches(ROWS_AT_ONCE):
        yield from batch.to_pylist()


def readings(rows: Iterable[Any], counts: Counter[str], first: int = 0) -> Iterator[Reading]:
    """Reads rows in batches of about LINES_AT_ONCE lines, each as `read` does.

    Args:
        rows: as `datasets` gives them.
        counts: what the iterator of the rows counts by itself; it is moved to the batch in which it was counted.
        first: the place of the first row in the source, by which its lines are named.
    """
    rows = iter(rows)
    while True:
        reading = read(rows, Counter(), first, LINES_AT_ONCE)
        reading.counts.update(counts)
        counts.clear()
        if reading.rows == first and not reading.counts:
            return
        first = reading.rows
        yield reading


def read(rows: Iterable[Any], counts: Counter[str], first: int = 0, most_lines: float = math.inf) -> Reading:
    """Reads rows until there are lines enough. What is not read is counted, and the first such shape is kept."""
    reading = Reading(counts=counts, rows=first)
    films: dict[Film, int] = {}
    speakers: dict[Speaker, int] = {}
    for row in rows:
        add_row(row, reading, films, speakers)
        reading.rows += 1
        if len(reading.line_ids) >= most_lines or reading.rows - first >= most_lines:
            break
    reading.films, reading.speakers = list(films), list(speakers)
    return reading


def add_row(row: Any, reading: Reading, films: dict[Film, int], speakers: dict[Speaker, int]) -> None:
    """Adds the conversation that a row holds, or counts why it holds none."""
    counts = reading.counts
    try:
        turns = turns_of(value := row[column_of(row)], counts)
    except ShapeError as error:
        reason, seen = error.args
        counts[reason] += 1
        note_shape(reading, seen)
        return
    if not any(turn.text for turn in turns):
        note_shape(reading, f"the turns of a row are {spell_shape(value)}")
    counts["conversations in the source"] += 1
    lines = lines_of(turns, reading.rows, reading, speakers)
    film = film_of(row)
    if film.key is None:  # without a film, a conversation is its own, whatever its place in the file
        texts = "\n".join(reading.raw_text[line] for line in lines if line >= 0)
        film = film._replace(id="text-" + hashlib.sha256(texts.encode(errors="replace")).hexdigest()[:16])
    reading.conversations.append((films.setdefault(film, len(films)), lines))


def note_shape(reading: Reading, seen: str) -> None:
    """Keeps what the first row was that is not read, and what is, for the error where nothing is left."""
    reading.unread = reading.unread or f"{seen}; read are {SHAPES_READ} in a column {' or '.join(MESSAGES)}"


def lines_of(turns: list[Turn], row: int, reading: Reading, speakers: dict[Speaker, int]) -> list[int]:
    """Adds the turns of a row as lines, those of one speaker in a row as one. Returns their places, with gaps."""
    lines: list[int] = []
    before: Turn | None = None
    for place, turn in enumerate(turns):
        if turn.left_out:
            reading.counts[f"{turn.left_out} messages left out"] += 1
            if lines and lines[-1] >= 0:
                lines.append(LEFT_OUT)
            before = None
        elif before and before.text.strip() and turn.text.strip() and turn.follows_itself(before):
            reading.counts["turns joined to the one before, of the same speaker"] += 1
            reading.raw_text[-1] += f" {turn.text}"
            before = turn if turn.name else before
        else:
            lines.append(len(reading.line_ids))
            reading.line_ids.append(f"{row}.{place}")
            reading.raw_text.append(turn.text)
            reading.speaker_of.append(speakers.setdefault(Speaker(turn.speaker), len(speakers)))
            before = turn
    return lines


def column_of(row: Any) -> str:
    """The column that holds the turns of a row. Raises ShapeError where there is none."""
    if not isinstance(row, dict):
        raise ShapeError("rows that cannot be read", f"a row is {spell_shape(row)}")
    found = [name for name in MESSAGES if row.get(name) is not None]
    if not found:
        raise ShapeError("rows without a list of turns", f"no column of conversations among {spell_keys(row)}")
    return next((name for name in found if isinstance(row[name], list | dict)), found[0])


def film_of(row: dict[str, Any]) -> Film:
    """Film of a row, from whichever of the known columns there are."""
    found = {
        field: next((row[name] for name in names if row.get(name) not in (None, "", [])), None)
        for field, names in FILM_COLUMNS.items()
    }
    genres = found["genres"] or ()
    return Film(
        id=stripped(found["id"]),
        title=stripped(found["title"]),
        year=parse_number(int, found["year"]),
        rating=parse_number(float, found["rating"]),
        votes=parse_number(int, found["votes"]),
        genres=tuple(map(str, genres)) if isinstance(genres, list | tuple) else (str(genres),),
        script_url=stripped(found["script_url"]),
    )


def stripped(value: Any) -> str | None:
    """Value as text without outer white space; None where nothing is left."""
    return None if value is None else str(value).strip() or None
