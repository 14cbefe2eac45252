"""Reads DailyDialog: a dialogue a line with `__eou__` after each turn, or the Hub's lists in `dialog`.

It is tokenized; spaces before marks and within `do n't` are closed up.

Source: Li et al., "DailyDialog: A Manually Labelled Multi-turn Dialogue Dataset", IJCNLP 2017.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from hub.rights import Citation, Rights
from hub.text_file import text_lines
from training.data.corpus.text import close_up

END_OF_TURN = "__eou__"
FILE = "dialogues_text.txt"
SPLIT_FILES = ("dialogues_train.txt", "dialogues_validation.txt", "dialogues_test.txt")
"""The same dialogues in three parts, where there is no `FILE`."""
DIALOGUES = (13_118, 11_118)
"""Of the whole corpus and of its train split: how it is known from other text in its form."""
RIGHTS = Rights(
    {"license": "cc-by-nc-sa-4.0"},
    (
        Citation(
            "DailyDialog",
            "DailyDialog is published under CC BY-NC-SA 4.0, for non-commercial use.",
            """\
@inproceedings{li-etal-2017-dailydialog,
  author    = {Yanran Li and Hui Su and Xiaoyu Shen and Wenjie Li and Ziqiang Cao and Shuzi Niu},
  title     = {DailyDialog: A Manually Labelled Multi-turn Dialogue Dataset},
  booktitle = {Proceedings of the Eighth International Joint Conference on Natural Language Processing},
  year      = {2017}
}""",
        ),
    ),
)


def rows_of(file: BinaryIO, counts: Counter[str]) -> Iterator[dict[str, list[str]]]:
    """Yields the dialogues of a text file; what stands after a line's last `__eou__` is counted, not read."""
    for line in text_lines(file):
        if not line.strip():
            continue
        *turns, rest = line.split(END_OF_TURN)
        counts["turns without their end, left out"] += bool(rest.strip())
        yield {"dialog": [closed_up(turn, counts) for turn in turns]}


def closed_up_rows(rows: Iterable[Any], counts: Counter[str]) -> Iterator[Any]:
    """Rows of the Hub's form, told by `dialog` with `act` and `emotion`, closed up; any other as it is."""
    for row in rows:
        if isinstance(row, dict) and {"dialog", "act", "emotion"} <= row.keys() and isinstance(row["dialog"], list):
            yield {**row, "dialog": [closed_up(t, counts) if isinstance(t, str) else t for t in row["dialog"]]}
        else:
            yield row


def closed_up(turn: str, counts: Counter[str]) -> str:
    """A turn with the spaces of tokenization closed up."""
    text = close_up(turn)
    counts["turns whose tokens were closed up"] += text != turn.strip()
    return text
