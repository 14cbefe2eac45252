"""Votes of raters: CSV files against the key; whatever cannot be counted as a vote is counted as something."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from hub.errors import UserError
from hub.votes.ballot import SKIP, TIE

COLUMNS = ["rater", "id", "choice", "seconds"]


class SheetVote(NamedTuple):
    """Vote of a rater on one showing of an item."""

    rater: str
    item: str
    copy: int
    """0 for the first time an item was shown, 1 for its repeat."""
    chosen: tuple[str, ...]
    """The variants behind the chosen option; none for a tie."""
    shown: tuple[str, ...]
    """All variants on the ballot."""


def read_votes(paths: Iterable[Path], key: Path) -> tuple[list[SheetVote], Counter[str], dict[str, Any]]:
    """Votes, how many rows were counted as what, and the key's facts.

    A rater's second vote on the same showing replaces the first; a row that is cut off, names an unknown item or an
    option that was not shown is no vote.

    Raises:
        UserError: the key or a file cannot be read.
    """
    try:
        facts = json.loads(key.read_text("utf-8"))
        shown = facts.pop("shown")
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{key} is no key of sheets ({error}); it is written beside them") from error
    counts: Counter[str] = Counter()
    votes: dict[str, SheetVote] = {}
    for path in paths:
        for row in csv_rows(path):
            counts["rows"] += 1
            entry = shown.get(row["id"])
            if entry is None or entry["rater"] != row["rater"]:
                counts["of another sheet"] += 1
            elif row["choice"] == SKIP:
                counts["skipped"] += 1
                votes.pop(row["id"], None)
            elif (chosen := chosen_variants(row["choice"], entry["voices"])) is None:
                counts["not a choice"] += 1
            else:
                counts["replaced by a later vote"] += row["id"] in votes
                on_ballot = tuple(sorted(variant for option in entry["voices"] for variant in option))
                votes[row["id"]] = SheetVote(entry["rater"], entry["item"], entry["copy"], chosen, on_ballot)
    counts["votes"] = len(votes)
    counts["ties"] = sum(not vote.chosen for vote in votes.values())
    counts["items alike, not shown"] = len(facts["all_alike"])
    return list(votes.values()), counts, facts


def csv_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file; one that is cut off has empty columns."""
    try:
        content = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    reader = csv.DictReader(content.splitlines(), restval="")
    if list(reader.fieldnames or [])[:3] != COLUMNS[:3]:
        raise UserError(f"{path} is no file of votes; its first line is {','.join(COLUMNS)}")
    return [{name: row.get(name) or "" for name in COLUMNS} for row in reader]


def chosen_variants(choice: str, options: list[list[str]]) -> tuple[str, ...] | None:
    """Variants behind a choice, none for a tie; None where it is no choice that was offered."""
    if choice == TIE:
        return ()
    if choice.isdecimal() and 1 <= int(choice) <= len(options):
        return tuple(options[int(choice) - 1])
    return None
