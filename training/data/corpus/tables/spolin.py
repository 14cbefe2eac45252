"""Reads SPOLIN, pairs of improvised dialogue: `{"yesands": {"spont": [{"p": ..., "r": ...}]}, "non-yesands": ...}`.

A yes-and takes up what was said and adds to it. Those that were labelled as none of it are left out: they are lines of
the Cornell corpus that were collected because they do not.

Source: Cho and May, "Grounding Conversations with Improvised Dialogues", ACL 2020; https://justin-cho.com/spolin
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from hub.rights import Citation, Rights

YES_ANDS, NO_YES_ANDS = "yesands", "non-yesands"
READ = "yes-and pairs"
RIGHTS = Rights(
    {"license": "cc-by-nc-4.0"},
    (
        Citation(
            "SPOLIN",
            "SPOLIN is published under CC BY-NC 4.0, for non-commercial use; a part of it is from the Cornell "
            "Movie-Dialogs Corpus and the SubTle corpus.",
            """\
@inproceedings{cho-may-2020-grounding,
  author    = {Hyundong Cho and Jonathan May},
  title     = {Grounding Conversations with Improvised Dialogues},
  booktitle = {Proceedings of the 58th Annual Meeting of the Association for Computational Linguistics},
  year      = {2020}
}""",
        ),
    ),
)


def as_dialogs(rows: Iterable[Any], counts: Counter[str]) -> Iterator[Any]:
    """Pairs of `p` and `r` as rows with a `dialog` of two lines; any other row passes as it is."""
    for row in rows:
        if isinstance(row, dict) and (YES_ANDS in row or NO_YES_ANDS in row):
            for label, pair in labelled(row):
                if label == YES_ANDS:
                    counts[READ] += 1
                    yield as_dialog(pair)
                else:
                    counts["pairs left out: no yes-and"] += 1
        else:
            yield as_dialog(row)


def labelled(content: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every pair with its label: in one list, or in a list for each corpus that it is from."""
    for label in (YES_ANDS, NO_YES_ANDS):
        group = content.get(label)
        lists = list(group.values()) if isinstance(group, dict) else [group]
        for pairs in lists:
            for pair in pairs if isinstance(pairs, list) else []:
                yield label, pair


def as_dialog(row: Any) -> Any:
    """A row of a prompt `p` and a response `r` as one with their dialog; any other as it is."""
    if isinstance(row, dict) and isinstance(row.get("p"), str) and isinstance(row.get("r"), str):
        return {**row, "dialog": [row["p"], row["r"]]}
    return row
