"""Rows whose columns the recipe names: `columns: {messages: turns, film: movie}` in `data.sources`.

Turns may stand in one column (`messages`), in two (`prompt` and `reply`, each a text or a list of turns), or in a row
each (`text`, and `conversation` to say whose rows follow one another).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from training.data.corpus.assemble import CorpusError
from training.data.corpus.tables.turns import spell_keys

FILM_COLUMN = {"film": "movie_title", "film_id": "movie_id"}
"""What the recipe calls a film's columns that our own dataset calls otherwise."""


def named_rows(rows: Iterable[Any], columns: Mapping[str, str], counts: Counter[str]) -> Iterator[Any]:
    """Rows under the names that `tabular` reads, and under no other.

    Raises:
        CorpusError: the first row has no column of a name that the recipe gives.
    """
    checked = checked_rows(rows, columns)
    if "text" in columns:
        checked = conversations_of_rows(checked, columns, counts)
    for row in checked:
        if not isinstance(row, dict):
            yield row
            continue
        about = {
            FILM_COLUMN.get(name, name): row.get(column)
            for name, column in columns.items()
            if name not in ("messages", "prompt", "reply", "text", "conversation", "speaker")
        }
        yield {**about, "messages": turns_in(row, columns)}


def checked_rows(rows: Iterable[Any], columns: Mapping[str, str]) -> Iterator[Any]:
    """The rows, after a look at the first."""
    for place, row in enumerate(rows):
        if place == 0 and isinstance(row, dict):
            for name, column in columns.items():
                if column not in row:
                    raise CorpusError(f"columns.{name} is {column}, and there is none; its rows have {spell_keys(row)}")
        yield row


def turns_in(row: Mapping[str, Any], columns: Mapping[str, str]) -> Any:
    """Turns of a row, as its column has them, or the prompt's and then the reply's; None where one has none."""
    if "prompt" not in columns:
        return row.get(columns.get("messages", "messages"))
    prompt, reply = (row.get(columns[name]) for name in ("prompt", "reply"))
    if prompt is None or reply is None:
        return None
    return [turn for part in (prompt, reply) for turn in (part if isinstance(part, list) else [part])]


def conversations_of_rows(
    rows: Iterable[Any], columns: Mapping[str, str], counts: Counter[str]
) -> Iterator[dict[str, Any]]:
    """Rows of one turn each as rows of a conversation, with the film of its first; those of one must stand together."""
    seen = set[str]()
    for conversation, turns in groupby(
        rows, lambda row: row.get(columns["conversation"]) if isinstance(row, dict) else None
    ):
        if conversation is None:
            counts["rows without a conversation"] += sum(1 for _ in turns)
            continue
        counts["conversations whose rows stand apart, read as several"] += repr(conversation) in seen
        seen.add(repr(conversation))
        own = list(turns)
        speaker = columns.get("speaker")
        messages = [{"text": row.get(columns["text"]), "speaker": speaker and row.get(speaker)} for row in own]
        yield {**own[0], columns.get("messages", "messages"): messages}
