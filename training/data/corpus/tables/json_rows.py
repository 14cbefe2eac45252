"""Rows of a JSON file: one a line, or all in one list. What is in it decides, for names are often wrong."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

from hub.errors import UserError
from hub.text_file import decode_certain, text_lines
from training.data.corpus.tables.turns import spell_kind


def json_rows(open_file: Callable[[], BinaryIO], name: str, counts: Counter[str]) -> Iterator[Any]:
    """Yields the rows; lines that are none are counted. Only a list is read into memory whole.

    Raises:
        json.JSONDecodeError: a .json file is neither a list nor rows.
        UserError: it is a list in an encoding that is not certain.
    """
    with open_file() as file:
        first = next(filter(str.strip, text_lines(file)), "").lstrip()
    called_json = name.lower().endswith(".json")
    try:
        by_line = isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        by_line = not (first.startswith(("[", "{")) or called_json)
    if not by_line:
        with open_file() as file:
            content = file.read()
        try:
            rows = json.loads(decode_certain(content, name))
            if not isinstance(rows, list | dict):
                raise UserError(f"{name} holds no list of rows but {spell_kind(rows)}; a .jsonl has a row a line")
            yield from rows if isinstance(rows, list) else [rows]
            return
        except json.JSONDecodeError as error:
            if called_json and error.msg != "Extra data":
                raise
        except UserError:
            if called_json or first.startswith("["):
                raise
    with open_file() as file:
        yield from json_lines(text_lines(file), counts)


def json_lines(lines: Iterable[str], counts: Counter[str]) -> Iterator[Any]:
    """Yields the rows of lines of JSON."""
    for line in lines:
        try:
            line.encode()
            yield json.loads(line)
        except UnicodeEncodeError:
            counts["rows that are no UTF-8"] += 1
        except (ValueError, RecursionError):
            counts["rows that cannot be read"] += bool(line.strip())
