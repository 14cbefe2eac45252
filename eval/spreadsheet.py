"""Tables as spreadsheets save them again: any separator and encoding that is certain, `1.0` for 1 and `3,5` for 3.5."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from hub.errors import UserError
from hub.text_file import read_text_file

SEPARATORS = (",", ";", "\t", "|")


def read_table(path: Path, columns: Sequence[str], what: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the rows of a table by column name, each with its line number; what is cut off is empty.

    Args:
        path: the file.
        columns: those it must have, in any order and case; others are left out.
        what: what such a file is called, for the messages.

    Raises:
        UserError: it cannot be read, or no known separator gives these columns; the message names what was seen.
    """
    try:
        with path.open("rb") as file:
            workbook = file.read(4) == b"PK\x03\x04"
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    if workbook:
        raise UserError(f"{path} is no {what} but an Excel workbook; save it as CSV UTF-8")
    text = re.sub(r"^sep=.[\r\n]+", "", read_text_file(path))  # Excel's own first line
    separator = separator_of(re.split(r"[\r\n]", text, maxsplit=1)[0], columns, f"{path} is no {what}")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        names = [name.strip().casefold() for name in next(rows)]
        for row in rows:
            if any(row):
                cells = dict(zip(names, map(str.strip, row), strict=False))
                yield rows.line_num, {column: cells.get(column, "") for column in columns}
    except csv.Error as error:
        raise UserError(f"{path} is no {what}: line {rows.line_num} cannot be read ({error})") from error


def separator_of(header: str, columns: Sequence[str], problem: str) -> str:
    """The separator by which the header has all columns. Raises UserError, with the problem in it, where none does."""
    for separator in SEPARATORS:
        names = next(csv.reader([header], delimiter=separator), [])
        if set(columns) <= {name.strip().casefold() for name in names}:
            return separator
    seen = re.search(r"\w[\"']?([^\w\"' ])", header)
    by = f" (separated by {seen[1]!r})" if seen else ""
    raise UserError(
        f"{problem}: its first line is {header[:80]!r}{by}; it takes the columns {','.join(columns)}, "
        "separated by commas, semicolons, tabs or bars"
    )


def plain_number(cell: str) -> str:
    """A number as a program writes it: a decimal comma becomes a point, and a whole number has no decimals."""
    number = re.sub(r"^([+-]?\d+),(\d+)$", r"\1.\2", cell)
    return re.sub(r"^([+-]?\d+)\.0+$", r"\1", number)
