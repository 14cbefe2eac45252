"""Votes of raters: every row is counted as something."""

import json

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


def test_votes_that_a_spreadsheet_saved_again_are_the_same(sheets, tmp_path):
    *_, key = sheet.write_sheets(sheets, {"evaluation": "n/e"}, tmp_path)
    key.write_bytes(b"\xef\xbb\xbf" + key.read_bytes())
    shown = [one["id"] for one in sheets.pages["ann"]][:4]
    plain = [["ann", id, choice, "1"] for id, choice in zip(shown, ("1", "2", "tie", "skip"), strict=True)]
    votes, counts, _ = sheet_votes.read_votes([csv_file(tmp_path / "v.csv", plain)], key)
    assert (counts["votes"], counts["ties"], counts["skipped"]) == (3, 1, 1)
    saved = [[" ann", id, choice, "1,5"] for id, choice in zip(shown, ("1.0", "2,0", "Tie", "SKIP"), strict=True)]
    text = "\r\n".join(";".join(row) for row in [sheet_votes.COLUMNS, *saved])
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "again.csv").write_bytes(text.encode(encoding))
        assert sheet_votes.read_votes([tmp_path / "again.csv"], key)[:2] == (votes, counts)


def test_ids_that_a_spreadsheet_took_for_numbers(tmp_path):
    entry = {"rater": "ann", "item": "L1-L2", "copy": 0, "voices": [["base"], ["sft"]]}
    key = tmp_path / "key.json"
    key.write_text(json.dumps({"all_alike": [], "shown": {"0012345678901234": entry, "3e45678901234567": entry}}))
    rows = [["ann", "12345678901234.0", "2"], ["ann", "3.00E+15", "1"], ["ann", "3E+45", "1"]]
    votes, counts, _ = sheet_votes.read_votes([csv_file(tmp_path / "v.csv", rows)], key)
    assert [vote.chosen for vote in votes] == [("sft",)]
    assert counts["ids that a spreadsheet made numbers"] == 2
    for content in ("[]", "{}", "\xff"):
        key.write_bytes(content.encode("latin-1"))
        with pytest.raises(UserError, match=r"no key|no UTF-8"):
            sheet_votes.read_votes([], key)
