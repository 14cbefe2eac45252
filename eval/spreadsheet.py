"""Tables as spreadsheets save them again: any separator and encoding that is certain, `1.0` for 1 and `3,5` for 3.5."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hub.errors import UserError
from hub.text_file import read_text_file

SEPARATORS = (",", ";", "\t", "|")
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""First bytes of zipped workbooks (Excel, LibreOffice, Numbers) and of Excel's before 2007."""
INVISIBLE = " \t\r\n\f\u00a0\u200b\ufeff"


def read_sheet_rows(
    path: Path, columns: Sequence[str], what: str, numbers: Sequence[str] = ()
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yields the rows of a table (`read_table`), or of a file with one JSON object a line; each with its line number.

    Which of the two it is, its first sign says, and not its name. Raises UserError as `read_table` does.
    """
    text = read_sheet(path, what)
    if not text.lstrip().startswith("{"):
        yield from table_rows(text, f"{path} is no {what}", columns, numbers)
        return
    for place, line in enumerate(text.split("\n"), 1):  # no other line end: a JSON string may hold one
        if not line.strip():
            continue
        try:
            yield place, dict(json.loads(line))
        except (ValueError, TypeError) as error:
            raise UserError(f"{path} has no JSON object in line {place} ({error}); write CSV or JSON lines") from error


def read_table(
    path: Path, columns: Sequence[str], what: str, numbers: Sequence[str] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the rows of a table by column name, each with its line number; what is cut off is empty.

    Args:
        path: the file.
        columns: those it must have, in any order and case; others are left out.
        what: what such a file is called, for the messages.
        numbers: the columns with numbers, which come as a program writes them.

    Raises:
        UserError: it cannot be read, no known separator gives these columns, or a row is not certain: it has more
            cells than the header, an open quote, or a number that may be thousands; the message names what was seen.
    """
    yield from table_rows(read_sheet(path, what), f"{path} is no {what}", columns, numbers)


def read_sheet(path: Path, what: str) -> str:
    """Text of a table that was exported as text. Raises UserError for a workbook, and for what is no text."""
    try:
        with path.open("rb") as file:
            workbook = file.read(4) in WORKBOOKS
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    if workbook:
        raise UserError(f"{path} is no {what} but an Excel workbook or its like; save it as CSV UTF-8")
    return read_text_file(path)


def table_rows(
    text: str, problem: str, columns: Sequence[str], numbers: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a table's text, as `read_table` gives them."""
    blank = r"(?:[^\S\r\n]*[\r\n])*"
    before = re.match(f'{blank}(?:"?sep=[^\r\n]+[\r\n]+)?{blank}', text, re.IGNORECASE)  # sep=: Excel's own first line
    skipped = before[0] if before else ""
    body = text[len(skipped) :]
    separator = separator_of(re.split(r"[\r\n]", body, maxsplit=1)[0], columns, problem)
    rows = csv.reader(io.StringIO(body, newline=""), delimiter=separator, strict=True)
    first = len(re.findall(r"\r\n|\r|\n", skipped))
    try:
        names = [column_name(name) for name in next(rows)]
        if twice := [column for column in columns if names.count(column) > 1]:
            raise UserError(f"{problem}: its first line names {twice[0]} twice")
        for row in rows:
            cells = [cell.strip() for cell in row]
            line = first + rows.line_num
            if any(cells[len(names) :]):
                seen = f"line {line} has {len(cells)} cells, and the first line {len(names)}"
                raise UserError(f"{problem}: {seen}; put what has a {separator!r} in it in quotes")
            if any(cells):
                found = dict(zip(names, cells, strict=False))
                kept = {column: found.get(column, "") for column in columns}
                yield line, kept | {name: number_in(kept[name], separator, problem, line) for name in numbers}
    except csv.Error as error:
        raise UserError(f"{problem}: line {first + rows.line_num} cannot be read ({error})") from error


def column_name(cell: str) -> str:
    """A column's name without what is not seen of it."""
    return cell.strip(INVISIBLE).casefold()


def separator_of(header: str, columns: Sequence[str], problem: str) -> str:
    """The separator by which the header has all columns. Raises UserError, with the problem in it, where none does."""
    for separator in SEPARATORS:
        names = next(csv.reader([header], delimiter=separator), [])
        if set(columns) <= {column_name(name) for name in names}:
            return separator
    seen = re.search(r"\w[\"']?([^\w\"' ])", header)
    by = f" (separated by {seen[1]!r})" if seen else ""
    raise UserError(
        f"{problem}: its first line is {header[:80]!r}{by}; it takes the columns {','.join(columns)}, "
        "separated by commas, semicolons, tabs or bars"
    )


def number_in(cell: str, separator: str, problem: str, line: int) -> str:
    """A cell of a column of numbers, as a program writes it; what is no number stays.

    Raises:
        UserError: its comma may be a decimal one or one of thousands. Where semicolons separate, it is a decimal one.
    """
    if separator != ";" and re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", cell):
        whole, rest = cell.split(",")
        raise UserError(f"{problem}: {cell!r} in line {line} may be {whole}.{rest} or {whole}{rest}; write it so")
    return plain_number(cell)


def plain_number(cell: str) -> str:
    """A number as a program writes it: a decimal comma becomes a point, and a whole number has no decimals."""
    number = re.sub(r"^([+-]?\d+),(\d+)$", r"\1.\2", cell)
    return re.sub(r"^([+-]?\d+)\.0+$", r"\1", number)
