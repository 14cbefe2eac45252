"""Items, sheets and votes of a made-up blind study."""

from __future__ import annotations

import csv
from pathlib import Path

from eval.human import sheet_votes
from eval.human.sheet import SheetItem

STUDY_VARIANTS = ("base", "dpo", "sft")


def sheet_items(count: int) -> list[SheetItem]:
    return [
        SheetItem(
            f"L{n}-L{n + 1}", [f"Line {n}?"], {"base": f"b{n}", "sft": f"s{n}", "dpo": f"d{n}" if n % 4 else f"s{n}"}
        )
        for n in range(count)
    ]


def csv_file(path: Path, rows: list[list[str]]) -> Path:
    """Writes votes as a sheet saves them."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([sheet_votes.COLUMNS, *rows])
    return path
