"""Reads conversations from a table: a JSONL, JSON or parquet file, or any dataset of the Hub.

A row is one conversation, in a column `messages` or `conversations` (chat messages with `content`, or ShareGPT's
`value`), or `dialog`, `dialogue` or `utterances` (plain texts). Where there are columns of a film's, in the names of
our own dataset or in common ones, they are taken as well. System messages are not part of a conversation.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from training.data.corpus.assemble import CorpusError, Film, Reading, Speaker, parse_number

SUFFIXES = (".jsonl", ".json", ".parquet")
MESSAGES = ("messages", "conversations", "dialog", "dialogue", "utterances")
FILM_COLUMNS = {
    "id": ("movie_id", "film_id", "imdb_id"),
    "title": ("movie_title", "title", "movie"),
    "year": ("year",),
    "rating": ("rating",),
    "votes": ("votes",),
    "genres": ("genres", "genre"),
    "script_url": ("script_url",),
}


def read_file(path: Path) -> Reading:
    """Reads a file. Raises CorpusError as `read` does, OSError or ValueError where it cannot be parsed at all."""
    counts: Counter[str] = Counter()
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        batches = pq.ParquetFile(path).iter_batches()
        return read((row for batch in batches for row in batch.to_pylist()), counts)
    if path.suffix == ".json":
        rows = json.loads(path.read_bytes())
        if not isinstance(rows, list):
            raise CorpusError("it holds no list of rows; a .jsonl has a row a line, a .json a list of them")
        return read(rows, counts)
    return read(json_lines(path, counts), counts)


def json_lines(path: Path, counts: Counter[str]) -> Iterator[Any]:
    """Rows of a JSONL file; lines that cannot be parsed are counted and left out."""
    with path.open("rb") as file:
        for line in file:
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                counts["rows that cannot be read"] += bool(line.strip())


def read(rows: Iterable[Any], counts: Counter[str]) -> Reading:
    """Reads rows as `datasets` gives them. What is no row is counted.

    Raises:
        CorpusError: the first row has no column of conversations.
    """
    reading = Reading([], [], [], [], [], [], counts)
    films: dict[Film, int] = {}
    speakers: dict[Speaker, int] = {}
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            counts["rows that cannot be read"] += 1
            continue
        column = column_of(row) if reading.conversations else column_of(row, strict=True)
        counts["conversations in the source"] += 1
        film = film_of(row)
        lines = []
        if column is None:
            counts["rows without a list of turns"] += 1
            continue
        for turn, message in enumerate(row[column]):
            text, name = turn_text(message)
            if name == "system":
                counts["system messages left out"] += 1
                continue
            lines.append(len(reading.line_ids))
            reading.line_ids.append(f"{index}.{turn}")
            reading.raw_text.append(text)
            reading.speaker_of.append(speakers.setdefault(Speaker(name), len(speakers)))
        if film.key is None:  # without a film, a conversation is its own, whatever its place in the file
            texts = "\n".join(reading.raw_text[line] for line in lines)
            film = film._replace(id="text-" + hashlib.sha256(texts.encode(errors="replace")).hexdigest()[:16])
        reading.conversations.append((films.setdefault(film, len(films)), lines))
    reading.films, reading.speakers = list(films), list(speakers)
    return reading


def column_of(row: dict[str, Any], strict: bool = False) -> str | None:
    """The column that holds the turns of a row; when `strict`, CorpusError where no column is called as one."""
    for name in MESSAGES:
        if isinstance(row.get(name), list):
            return name
    if not strict or any(name in row for name in MESSAGES):
        return None
    raise CorpusError(f"no column of conversations among {', '.join(row)}; name it one of {', '.join(MESSAGES)}")


def turn_text(message: Any) -> tuple[str, str]:
    """Text and speaker of one turn; anything that is no text reads as an empty line."""
    if not isinstance(message, dict):
        return message if isinstance(message, str) else "", "?"
    text = next((message[key] for key in ("content", "value", "text") if isinstance(message.get(key), str)), "")
    return text, str(message.get("name") or message.get("speaker") or message.get("role") or message.get("from") or "?")


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
