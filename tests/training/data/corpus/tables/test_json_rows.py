"""Rows of JSON: one a line or all in a list, whatever the file is called and however it is encoded."""

import io
import json
from collections import Counter

import pytest

from hub.errors import UserError
from training.data.corpus.tables.json_rows import json_rows

ROWS = [{"dialog": ["caf\u00e9\u2028", "b"]}, {"dialog": ["c"]}]
LINES = "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS)


def rows_of(content: bytes, name: str = "talks.jsonl") -> tuple[list, Counter]:
    counts: Counter = Counter()
    return list(json_rows(lambda: io.BytesIO(content), name, counts)), +counts


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", ["talks.jsonl", "talks.json", "talks"])
@pytest.mark.parametrize("text", [LINES, f"\n{LINES}\r\n", json.dumps(ROWS), json.dumps(ROWS, indent=1)])
def test_rows_are_the_same_in_every_form(text, name, encoding):
    assert rows_of(text.encode(encoding), name) == (ROWS, {})


def test_one_object_is_one_row():
    assert rows_of(json.dumps(ROWS[0], indent=1).encode())[0] == ROWS[:1]


def test_lines_that_are_no_rows_are_counted():
    content = b'{broken\n{"a": 1}\n\n{"a": "\xe9"}\n[1]\n'
    assert rows_of(content) == ([{"a": 1}, [1]], {"rows that cannot be read": 1, "rows that are no UTF-8": 1})
    assert rows_of(b"") == ([], {})


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"5", "no list of rows but a number"), (b'["\xe9"]', r"no UTF-8 \(byte 0xe9"), (b"[{", "Expecting")],
)
def test_what_is_neither_is_refused(content, says):
    with pytest.raises((UserError, json.JSONDecodeError), match=says):
        rows_of(content, "talks.json")
