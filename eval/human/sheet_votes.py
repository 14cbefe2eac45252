"""Votes of raters: CSV files against the key; whatever cannot be counted as a vote is counted as something."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from eval.spreadsheet import plain_number, read_table
from hub.errors import UserError
from hub.text_file import read_text_file
from hub.votes.ballot import SKIP, TIE
from stats.style import Style

COLUMNS = ["rater", "id", "choice", "seconds"]
ID_LENGTH = 16
"""Digits of a showing's id, in hex (`eval.human.sheet`)."""


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
    styles: Mapping[str, Style] | None = None
    """By variant, of what was shown; None where it is not known."""


def read_votes(paths: Iterable[Path], key: Path) -> tuple[list[SheetVote], Counter[str], dict[str, Any]]:
    """Votes, how many rows were counted as what, and the key's facts.

    A rater's second vote on the same showing replaces the first; a row that is cut off, names an unknown item or an
    option that was not shown is no vote.

    Raises:
        UserError: the key or a file cannot be read.
    """
    try:
        facts = json.loads(read_text_file(key))
        shown = facts.pop("shown")
        styles = {
            item: {name: Style(*one) for name, one in own.items()} for item, own in facts.pop("styles", {}).items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{key} is no key of sheets ({error}); it is written beside them") from error
    counts: Counter[str] = Counter()
    votes: dict[str, SheetVote] = {}
    for path in paths:
        for _, row in read_table(path, COLUMNS[:3], "file of votes"):
            counts["rows"] += 1
            shown_id, choice = id_of(row["id"]), plain_number(row["choice"]).casefold()
            entry = shown.get(shown_id)
            if entry is None and re.fullmatch(r"\d+([.,]\d+)?e\+?\d+", row["id"].casefold()):
                counts["ids that a spreadsheet made numbers"] += 1
            elif entry is None or entry["rater"] != row["rater"]:
                counts["of another sheet"] += 1
            elif choice == SKIP:
                counts["skipped"] += 1
                votes.pop(shown_id, None)
            elif (chosen := chosen_variants(choice, entry["voices"])) is None:
                counts["not a choice"] += 1
            else:
                counts["replaced by a later vote"] += shown_id in votes
                on_ballot = tuple(sorted(variant for option in entry["voices"] for variant in option))
                item = entry["item"]
                votes[shown_id] = SheetVote(entry["rater"], item, entry["copy"], chosen, on_ballot, styles.get(item))
    counts["votes"] = len(votes)
    counts["ties"] = sum(not vote.chosen for vote in votes.values())
    counts["items alike, not shown"] = len(facts["all_alike"])
    return list(votes.values()), counts, facts


def id_of(cell: str) -> str:
    """Id of a showing. One of digits alone, which a spreadsheet takes for a number, gets its leading zeros back."""
    number = plain_number(cell)
    return number.zfill(ID_LENGTH) if number.isdecimal() else cell


def chosen_variants(choice: str, options: list[list[str]]) -> tuple[str, ...] | None:
    """Variants behind a choice, none for a tie; None where it is no choice that was offered."""
    if choice == TIE:
        return ()
    if choice.isdecimal() and 1 <= int(choice) <= len(options):
        return tuple(options[int(choice) - 1])
    return None
