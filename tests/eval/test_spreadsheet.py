"""Tables saved again by spreadsheets: read where it is certain, else one line that names what was seen."""

import pytest

from eval.spreadsheet import plain_number, read_table
from hub.errors import UserError

COLUMNS = ("id", "choice")
ROWS = [{"id": "a,b", "choice": "1"}, {"id": "zo\u00eb", "choice": ""}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_ends_and_encodings(tmp_path, separator, encoding, end):
    lines = (["Note", " Choice", "ID"], ["x", "1", '"a,b"'], [], ["", "", "zo\u00eb"])
    (tmp_path / "votes.csv").write_bytes("".join(separator.join(line) + end for line in lines).encode(encoding))
    found = list(read_table(tmp_path / "votes.csv", COLUMNS, "file of votes"))
    assert [row for _, row in found] == ROWS
    assert [line for line, _ in found] == [2, 4]


def test_excels_own_first_line_cut_rows_and_quoted_line_ends(tmp_path):
    (tmp_path / "votes.csv").write_text('sep=;\nid;choice\n"a\nb";1\nc\n')
    assert [row for _, row in read_table(tmp_path / "votes.csv", COLUMNS, "file")] == [
        {"id": "a\nb", "choice": "1"},
        {"id": "c", "choice": ""},
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no file of votes: its first line is ''"),
        (b"id:choice\na:1\n", "separated by ':'"),
        (b"id,other\na,1\n", r"is .id,other. \(separated by .,.\); it takes the columns id,choice"),
        (b"id,choice\nzo\xeb,1\n", r"0xeb in line 2\), perhaps Windows-1252"),
        ("id,choice\n".encode("utf-16-le"), "UTF-16 without a byte order mark"),
        (b"PK\x03\x04rest", "an Excel workbook"),
        (b"id,choice\n" + b"x" * 140_000, "line 2 cannot be read"),
    ],
)
def test_what_is_not_certain_is_one_line(tmp_path, content, says):
    (tmp_path / "votes.csv").write_bytes(content)
    with pytest.raises(UserError, match=says) as caught:
        list(read_table(tmp_path / "votes.csv", COLUMNS, "file of votes"))
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="cannot be read"):
        list(read_table(tmp_path / "none.csv", COLUMNS, "file of votes"))


@pytest.mark.parametrize(
    ("cell", "number"),
    [("1", "1"), ("1.0", "1"), ("1,0", "1"), ("3,5", "3.5"), ("-2.50", "-2.50"), ("tie", "tie"), ("1,2,3", "1,2,3")],
)
def test_plain_numbers(cell, number):
    assert plain_number(cell) == number
