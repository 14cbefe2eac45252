"""Agreement of a judge with people: correlation of its scores of replies with theirs, from a file of scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from chat.template import SYSTEM_PROMPT, Message
from eval.agreement import PairedScore, bootstrap_correlation
from eval.judge.bias import averaged
from eval.judge.comparison import Comparison, Judge, compare_in_both_orders
from eval.judge.embedded import EmbeddedJudge
from eval.qualify.measured import Measured
from eval.spreadsheet import read_sheet_rows
from hub.errors import UserError

MEASURES = ("pearson", "spearman")


class HumanScore(NamedTuple):
    """Score that people gave to a reply."""

    prompt: str
    reply: str
    score: float


def read_human_scores(path: Path) -> list[HumanScore]:
    """Scores from a CSV file with the columns prompt, reply and score, or from JSON lines with these keys.

    Raises:
        UserError: the file cannot be read, or a row is not such a score; the message names the line.
    """
    found = []
    for place, row in read_sheet_rows(path, HumanScore._fields, "file of human scores", ("score",)):
        try:
            score = float(row["score"])
            found.append(HumanScore(str(row["prompt"]), str(row["reply"]), score))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} has no prompt, reply and score in line {place} ({error!r})") from error
        if not math.isfinite(score):
            raise UserError(f"{path} has {score} for a score in line {place}; it takes a finite number")
    if len(found) < 2:
        raise UserError(f"{path} has {len(found)} scores; it takes 2 and more")
    return found


def agreement_with_people(judge: Judge, scores: Sequence[HumanScore]) -> dict[str, Measured]:
    """Pearson's and Spearman's correlation over replies, with a bootstrap over prompts (`eval.agreement`).

    Raises:
        UserError: the judge compares only, and no prompt has two replies.
    """
    known = [
        PairedScore(one.prompt, "", one.score, given)
        for one, given in zip(scores, judge_scores(judge, scores), strict=True)
        if not math.isnan(given)
    ]
    prompts = len({one.item for one in known})
    found = {}
    for measure in MEASURES:
        estimate, _ = bootstrap_correlation(known, measure, "response")
        value, low, high = (None if math.isnan(one) else one for one in estimate)
        found[measure] = Measured(value, low, high, len(known), prompts)
    return found


def judge_scores(judge: Judge, scores: Sequence[HumanScore]) -> list[float]:
    """A judge's score of each reply: its own, or the mean probability that it beats others to the same prompt."""
    if isinstance(judge, EmbeddedJudge):
        return judge.score([(as_prompt(one.prompt), one.reply) for one in scores])
    by_prompt: dict[str, list[int]] = {}
    for index, one in enumerate(scores):
        by_prompt.setdefault(one.prompt, []).append(index)
    duels = [(a, b) for own in by_prompt.values() for a in own for b in own if a < b]
    if not duels:
        raise UserError("the judge compares two replies, and no prompt of the human scores has two; add some")
    ahead: list[Comparison] = [(as_prompt(scores[a].prompt), scores[a].reply, scores[b].reply) for a, b in duels]
    wins: dict[int, list[float]] = {index: [] for index in range(len(scores))}
    for (a, b), p in zip(duels, averaged(compare_in_both_orders(judge, ahead)), strict=True):
        if not math.isnan(p):
            wins[a].append(p)
            wins[b].append(1 - p)
    return [fmean(own) if own else math.nan for own in wins.values()]


def as_prompt(line: str) -> list[Message]:
    """A line as the messages of a prompt."""
    return [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": line}]
