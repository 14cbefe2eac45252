"""The typed row of the votes dataset."""

import json
import subprocess
import sys

import pytest

import hub.votes
from hub.errors import UserError
from hub.votes.vote import Vote, votes_in_file
from tests.support.votes import vote

COLUMNS = [
    "comparison", "time", "prompt", "replies", "shown", "choice", "chosen", "revisions", "sampling", "seed", "tokens",
    "telltale", "session", "address",
]  # fmt: skip


def test_a_vote_is_read_as_it_was_written():
    row = vote(1).to_row()
    assert list(row) == COLUMNS, "the published columns, in their order"
    assert Vote.from_row(json.loads(json.dumps(row))) == vote(1)


def test_columns_of_others_are_dropped_and_missing_ones_are_empty():
    assert Vote.from_row({**vote(1).to_row(), "language": "en"}) == vote(1)
    short = Vote.from_row({"comparison": "c1", "chosen": ["sft"], "revisions": {"sft": "a" * 40}})
    assert (short.comparison, short.chosen, short.shown, short.replies, short.time) == ("c1", ["sft"], [], {}, "")


@pytest.mark.parametrize("column", ["comparison", "chosen", "revisions"])
def test_a_row_without_what_makes_it_a_vote_is_none(column):
    row = vote(1).to_row()
    del row[column]
    with pytest.raises(KeyError, match=column):
        Vote.from_row(row)


@pytest.mark.parametrize("line", ["[]", "1", "no json", "{}", "null"])
def test_the_line_that_is_no_vote_is_named(tmp_path, line):
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(vote(1).to_row()) + f"\n{line}\n")
    with pytest.raises(UserError, match=r"x\.jsonl, line 2 is no vote"):
        list(votes_in_file(path))


def test_a_line_cut_off_while_it_was_written_is_no_vote(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(vote(1).to_row()) + '\n{"comparison": "c2", "ti')
    assert list(votes_in_file(path)) == [vote(1)]


def test_the_name_that_programs_use_is_light():
    assert hub.votes.votes.__module__ == "hub.votes.vote"
    code = "import sys, hub.votes; print([x for x in ('huggingface_hub', 'datasets', 'numpy') if x in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
