"""Tables saved again by spreadsheets: read where it is certain, else one line that names what was seen."""

import re

import pytest

from eval.spreadsheet import plain_number, read_sheet_rows, read_table
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
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook"),
        (b"id,choice\na,1,5\n", r"line 2 has 3 cells, and the first line 2; put what has a ',' in it in quotes"),
        (b'id,choice\n"a,1\nb,2\n', "line 3 cannot be read .unexpected end"),
        (b'\n\nid,choice\na,1\n"b"c,2\n', "line 5 cannot be read"),
        (b"id;choice;Choice\na;1;2\n", "its first line names choice twice"),
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


@pytest.mark.parametrize("start", ["", "\r\n  \n", "sep=;\n", '"sep=;"\r\n\n', "SEP=;\r"])
def test_blank_lines_before_and_after_are_no_rows(tmp_path, start):
    (tmp_path / "v.csv").write_bytes(f"{start}\u200bid;choice\u00a0;;\na;1;;\n;;;\n  ;\n\n".encode("utf-8-sig"))
    line = len(re.findall(r"\r\n|\r|\n", start)) + 2
    assert list(read_table(tmp_path / "v.csv", COLUMNS, "file")) == [(line, {"id": "a", "choice": "1"})]


def test_a_first_column_without_a_name_stays_one(tmp_path):
    (tmp_path / "v.csv").write_text("\tid\tchoice\n0\ta\t1\n")  # as pandas writes it
    assert [row for _, row in read_table(tmp_path / "v.csv", COLUMNS, "file")] == [{"id": "a", "choice": "1"}]


@pytest.mark.parametrize(
    ("separator", "cell", "read"),
    [
        (",", "3,5", "3.5"), (",", "0,875", "0.875"), (",", "12,50", "12.50"), (";", "3,125", "3.125"),
        (",", "3.125", "3.125"), (",", "3,125", None), ("\t", "1,234", None), ("|", "-1,000", None),
    ],
)  # fmt: skip
def test_a_comma_that_may_be_of_thousands_is_not_guessed(tmp_path, separator, cell, read):
    (tmp_path / "v.csv").write_text(f'id{separator}score\n"3,125"{separator}"{cell}"\n')
    rows = read_table(tmp_path / "v.csv", ("id", "score"), "file", numbers=["score"])
    if read:
        assert list(rows) == [(2, {"id": "3,125", "score": read})]
    else:
        with pytest.raises(UserError, match=f"'{cell}' in line 2 may be .*; write it so"):
            list(rows)


def test_lines_of_json_are_known_by_their_first_sign_and_not_by_their_name(tmp_path):
    for name in ("a.csv", "a.jsonl", "a.TSV"):
        (tmp_path / name).write_text('\ufeff\n{"id": "one\u2028line", "choice": 1}\n\n')
        assert list(read_sheet_rows(tmp_path / name, COLUMNS, "file")) == [(2, {"id": "one\u2028line", "choice": 1})]
        (tmp_path / name).write_text("id\tchoice\na\t1\n")
        assert list(read_sheet_rows(tmp_path / name, COLUMNS, "file")) == [(2, {"id": "a", "choice": "1"})]


@pytest.mark.parametrize(
    ("cell", "number"),
    [("1", "1"), ("1.0", "1"), ("1,0", "1"), ("3,5", "3.5"), ("-2.50", "-2.50"), ("tie", "tie"), ("1,2,3", "1,2,3")],
)
def test_plain_numbers(cell, number):
    assert plain_number(cell) == number
