"""Rating sheets: one self-contained HTML file each, no model's name in it, and one key that stays with us."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from eval.rows import CONTROLS
from hub.errors import UserError
from hub.votes.ballot import hash_of, options

SHEET_TEMPLATE = Path(__file__).with_name("sheet.html")


class SheetItem(NamedTuple):
    """Item of a sheet: a prompt, and what the variants and controls answered to it."""

    id: str
    lines: list[str]
    """The dialogue so far, one line a turn."""
    replies: dict[str, str]

    @property
    def differs(self) -> bool:
        """Whether the variants, controls aside, answered differently: otherwise nobody is asked about them."""
        return len(options({name: text for name, text in self.replies.items() if name not in CONTROLS})) > 1


class Sheets(NamedTuple):
    """Sheets of a study and their key."""

    pages: dict[str, list[dict[str, Any]]]
    """By rater, what is shown: `id`, `lines` and `options`."""
    key: dict[str, dict[str, Any]]
    """By shown id: `rater`, `item`, `copy` (1 for a repeat) and the `variants` behind each option."""
    all_alike: list[str]
    """Items to which all variants answered the same: nobody is asked about them."""


def make_sheets(items: Sequence[SheetItem], raters: Sequence[str], seed: str, repeats: float = 0.1) -> Sheets:
    """Blinded sheets: every item for every rater, options and items in an order by hash of seed, rater and item.

    A share of `repeats` comes a second time, in another order, for self-consistency. They are of the first half and
    come at the end, so that nobody remembers.

    Raises:
        ValueError: two items have one id, or all items are alike.
    """
    if len({item.id for item in items}) < len(items):
        raise ValueError("two items have one id")
    differing = [item for item in items if item.differs]
    if not differing:
        raise ValueError("all variants answered every item alike; there is nothing to choose")
    pages: dict[str, list[dict[str, Any]]] = {}
    key: dict[str, dict[str, Any]] = {}
    for rater in raters:
        first = sorted(differing, key=lambda item: hash_of(seed, rater, item.id))
        again = first[: min(round(repeats * len(first)), (len(first) + 1) // 2)]
        pages[rater] = []
        for copy, item in [*((0, item) for item in first), *((1, item) for item in again)]:
            shown = hash_of(seed, rater, item.id, copy)[:16]
            ballot = options(item.replies, seed, rater, item.id, copy)
            pages[rater].append({"id": shown, "lines": item.lines, "options": [option.text for option in ballot]})
            key[shown] = {
                "rater": rater,
                "item": item.id,
                "copy": copy,
                "voices": [list(option.variants) for option in ballot],
            }
    return Sheets(pages, key, [item.id for item in items if item not in differing])


def write_sheets(sheets: Sheets, facts: Mapping[str, Any], folder: Path) -> list[Path]:
    """Writes `sheet-RATER.html` for each rater and `key.json`; returns their paths, the key's last.

    Raises:
        UserError: one of them is there already: votes given on it would lose their key.
    """
    paths = [folder / f"sheet-{rater}.html" for rater in sheets.pages] + [folder / "key.json"]
    if there := [path for path in paths if path.exists()]:
        raise UserError(f"{there[0]} is there already; give another folder, or move the old sheets and their key away")
    folder.mkdir(parents=True, exist_ok=True)
    template = SHEET_TEMPLATE.read_text("utf-8")
    for path, (rater, page) in zip(paths, sheets.pages.items(), strict=False):
        data = {"rater": rater, "sheet": hash_of(*(shown["id"] for shown in page))[:12], "items": page}
        # "</script>" in a reply would end the script that it stands in
        path.write_text(template.replace("{{ data }}", json.dumps(data).replace("<", "\\u003c")), "utf-8")
    key = {**facts, "all_alike": sheets.all_alike, "shown": sheets.key}
    paths[-1].write_text(json.dumps(key, indent=1) + "\n", "utf-8")
    return paths
