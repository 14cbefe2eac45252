"""Agreement of judges with people and with each other, and the prompts where they saw the most and the least gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from eval.agreement import PairedScore
from eval.human.analysis import credits, votes_by_item
from eval.human.sheet_votes import SheetVote
from eval.report.evidence import overall_scores, preference_values
from eval.report.gather import JudgeScores, Material
from eval.rows import Response, ScoreRow

ALL_CRITERIA = "all criteria"
EXAMPLES_SHOWN = 5  # of either kind


def pair_with_people(made: Material, judge: JudgeScores) -> dict[str, list[PairedScore]]:
    """Paired scores of a judge and of people (their share of choices for a reply), by criterion; none without raters.

    Prompts on which nobody chose, and replies that are unscored, are left out.
    """
    if "raters" not in made.people:
        return {}
    choices = votes_by_item([vote for vote in made.people["raters"].votes if vote.copy == 0 and vote.chosen])
    shares = {
        (index, variant): credits(choices[item], variant) / len(choices[item])
        for index, item in enumerate(made.sheet_ids)
        if item in choices
        for variant in shown_variants(choices[item])
    }
    return pair_scores(shares, judge.comparable)


def shown_variants(votes: Sequence[SheetVote]) -> list[str]:
    """Variants on any of the ballots."""
    return sorted({variant for vote in votes for variant in vote.shown})


def pair_judges(first: JudgeScores, second: JudgeScores) -> dict[str, list[PairedScore]]:
    """Paired scores of two judges, means over the criteria; the first stands where `eval.agreement` has people."""
    return {ALL_CRITERIA: pair_scores(overall_scores(first.comparable), second.comparable)[ALL_CRITERIA]}


def pair_scores(scores: Mapping[tuple[int, str], float], rows: Sequence[ScoreRow]) -> dict[str, list[PairedScore]]:
    """Paired scores, by item and variant, with those of a judge's rows: by criterion, and by their mean."""
    found: dict[str, list[PairedScore]] = {}
    for row in rows:
        key = (row["item"], row["voice"])
        if key in scores and row["score"] is not None:
            one = PairedScore(str(row["item"]), row["voice"], scores[key], row["score"])
            found.setdefault(row["criterion"], []).append(one)
    means = overall_scores(rows)
    both = [
        PairedScore(str(i), variant, scores[i, variant], mean)
        for (i, variant), mean in means.items()
        if (i, variant) in scores
    ]
    return {**found, ALL_CRITERIA: both}


class Example(NamedTuple):
    """Example: one prompt with everybody's reply."""

    film: str
    lines: list[str]
    film_reply: str
    replies: dict[str, tuple[str, float | None]]
    """By variant, its text and the judge's mean score, where there is one."""
    gain: float


def best_and_worst(made: Material, pair: tuple[str, str] = ("dpo", "sft")) -> tuple[str, list[Example], list[Example]]:
    """Examples where a variant gained most over another, and where it lost most, EXAMPLES_SHOWN each; and by whom.

    By the first judge's mean score; without one by the preference that was measured, which tells wins from losses only.
    """
    if not set(pair) <= set(made.variants):
        return "", [], []
    scores = overall_scores(made.judges[0].comparable) if made.judges else {}
    if scores:
        by = f"the mean G-Eval score by {made.judges[0].name}"
        gains = {
            i: scores[i, pair[0]] - scores[i, pair[1]] for i, v in scores if v == pair[0] and (i, pair[1]) in scores
        }
    else:
        by = str(made.results["judge"])
        won = preference_values(made.responses, *pair)
        gains = {index: 2 * value - 1 for index, value in enumerate(won) if value == value}
    order = sorted(gains, key=lambda index: (-gains[index], index))
    best = [index for index in order if gains[index] > 0][:EXAMPLES_SHOWN]
    worst = [index for index in reversed(order) if gains[index] < 0][:EXAMPLES_SHOWN]

    def examples(indices: Sequence[int]) -> list[Example]:
        return [example(made.responses[index], index, made.variants, scores, gains[index]) for index in indices]

    return by, examples(best), examples(worst)


def example(
    response: Response, index: int, variants: Sequence[str], scores: Mapping[tuple[int, str], float], gain: float
) -> Example:
    """Example of one prompt; `index` is its place in the evaluation set, and in a judge's scores."""
    lines = [message["content"] for message in response.prompt if message["role"] != "system"]
    replies = {variant: (response.variants[variant].text, scores.get((index, variant))) for variant in variants}
    return Example(response.movie_title or response.movie_id, lines, response.film_reply, replies, gain)
