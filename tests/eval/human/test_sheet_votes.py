"""Votes of raters: every row is counted as something."""

import pytest

from eval.human import sheet, sheet_votes
from eval.human.sheet_votes import SheetVote
from hub.errors import UserError
from tests.support.studies import STUDY_VARIANTS, csv_file


def test_every_row_is_counted_as_something(sheets, tmp_path):
    *_, key = sheet.write_sheets(sheets, {"evaluation": "n/e"}, tmp_path)
    ann = [shown["id"] for shown in sheets.pages["ann"]]
    rows = [
        ["ann", ann[0], "1", "2.5"],
        ["ann", ann[0], "2", "9"],  # thought again
        ["ann", ann[1], "tie", "1"],
        ["ann", ann[2], "skip", "1"],
        ["ann", ann[3], "9", "1"],
        ["ann", ann[4], "base", "1"],
        ["bo", ann[5], "1", "1"],
        ["ann", "0" * 16, "1", "1"],
        ["ann", ann[6]],  # the end of a half file
    ]
    given, counts, facts = sheet_votes.read_votes([csv_file(tmp_path / "v.csv", rows)], key)
    assert dict(counts) == {
        "rows": 9,
        "votes": 2,
        "ties": 1,
        "skipped": 1,
        "replaced by a later vote": 1,
        "not a choice": 3,
        "of another sheet": 2,
        "items alike, not shown": 1,
    }
    entry = sheets.key[ann[0]]
    assert given[0] == SheetVote("ann", entry["item"], entry["copy"], tuple(entry["voices"][1]), STUDY_VARIANTS)
    assert given[1].chosen == ()
    assert facts["evaluation"] == "n/e"
    for content in ("", "a,b\n1,2\n"):
        (tmp_path / "bad.csv").write_text(content)
        with pytest.raises(UserError, match="no file of votes"):
            sheet_votes.read_votes([tmp_path / "bad.csv"], key)
    with pytest.raises(UserError, match="no key"):
        sheet_votes.read_votes([], tmp_path / "v.csv")
