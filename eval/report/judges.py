"""How far judges agree with people and with each other, and the prompts where they saw the most and the least gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from eval.agreement import PairedScore
from eval.human.analysis import credits, grouped
from eval.human.sheet_votes import SheetVote
from eval.report.evidence import overall, preferred
from eval.report.gather import Judged, Material, Row

ALL = "all criteria"
SHOWN = 5  # examples of either kind


def with_people(made: Material, judge: Judged) -> dict[str, list[PairedScore]]:
    """A judge's scores beside the share of the raters' choices that each reply got, by criterion; none without raters.

    Prompts on which nobody chose, and replies that are unscored, are left out.
    """
    if "raters" not in made.people:
        return {}
    choices = grouped([vote for vote in made.people["raters"].votes if vote.copy == 0 and vote.chosen])
    shares = {
        (place, variant): credits(choices[item], variant) / len(choices[item])
        for place, item in enumerate(made.items)
        if item in choices
        for variant in shown(choices[item])
    }
    return beside(shares, judge.rows)


def shown(votes: Sequence[SheetVote]) -> list[str]:
    return sorted({variant for vote in votes for variant in vote.shown})


def with_each_other(first: Judged, second: Judged) -> dict[str, list[PairedScore]]:
    """Two judges' means over the criteria; the first stands where people stand in `eval.agreement`."""
    return {ALL: beside(overall(first.rows), second.rows)[ALL]}


def beside(scores: Mapping[tuple[int, str], float], rows: Sequence[Row]) -> dict[str, list[PairedScore]]:
    """Pairs scores, by item and variant, with those of a judge's rows: by criterion, and by their mean."""
    found: dict[str, list[PairedScore]] = {}
    for row in rows:
        place = (row["item"], row["voice"])
        if place in scores and row["score"] is not None:
            one = PairedScore(str(row["item"]), row["voice"], scores[place], row["score"])
            found.setdefault(row["criterion"], []).append(one)
    means = overall(rows)
    both = [
        PairedScore(str(i), variant, scores[i, variant], mean)
        for (i, variant), mean in means.items()
        if (i, variant) in scores
    ]
    return {**found, ALL: both}


class Example(NamedTuple):
    """One prompt with everybody's reply."""

    film: str
    lines: list[str]
    film_reply: str
    replies: dict[str, tuple[str, float | None]]
    """By variant, what it said and the judge's mean score, where there is one."""
    gain: float


def examples(made: Material, pair: tuple[str, str] = ("dpo", "sft")) -> tuple[str, list[Example], list[Example]]:
    """Who ordered them, and the prompts where a variant gained most over another and where it lost most, SHOWN of each.

    By the first judge's mean score; without one by the preference that was measured, which tells wins from losses only.
    """
    if not set(pair) <= set(made.variants):
        return "", [], []
    scores = overall(made.judges[0].rows) if made.judges else {}
    if scores:
        by = f"the mean G-Eval score by {made.judges[0].name}"
        gains = {
            i: scores[i, pair[0]] - scores[i, pair[1]] for i, v in scores if v == pair[0] and (i, pair[1]) in scores
        }
    else:
        by = str(made.results["judge"])
        won = preferred(made.rows, *pair).first
        gains = {place: 2 * value - 1 for place, value in enumerate(won) if value == value}
    order = sorted(gains, key=lambda place: (-gains[place], place))
    best = [place for place in order if gains[place] > 0][:SHOWN]
    worst = [place for place in reversed(order) if gains[place] < 0][:SHOWN]

    def told(places: Sequence[int]) -> list[Example]:
        return [example(made.rows[place], place, made.variants, scores, gains[place]) for place in places]

    return by, told(best), told(worst)


def example(
    row: dict[str, Any], place: int, variants: Sequence[str], scores: Mapping[tuple[int, str], float], gain: float
) -> Example:
    lines = [message["content"] for message in row["prompt"] if message["role"] != "system"]
    replies = {variant: (row[variant]["text"], scores.get((place, variant))) for variant in variants}
    return Example(str(row.get("movie_title") or row["movie_id"]), lines, row["film_reply"], replies, gain)
