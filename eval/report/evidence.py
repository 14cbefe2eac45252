"""What speaks for one variant against another: every measure on the same prompts, and what is left at equal length."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from eval.human.analysis import credits, grouped
from eval.human.sheet_votes import SheetVote
from eval.measure import PAIRS
from eval.metrics import words
from eval.report.gather import Material, Row
from stats.intervals import Estimate, Paired, holm, paired

POINTS = 100.0  # a share is told in points


class Values(NamedTuple):
    """A measure of two variants on every prompt; NaN where it is missing."""

    first: list[float]
    second: list[float]
    weights: list[float] | None = None
    """What each value is a sum over; None: 1."""


class Measure(NamedTuple):
    what: str
    unit: str
    times: float
    """By what a difference is multiplied to be told."""
    better: int
    """1 where more is better, -1 where less is."""
    of_replies: bool
    """Whether it is of the variants' own replies, whose length may decide it."""
    values: Callable[[str, str], Values]
    """What was measured of two variants."""


class Evidence(NamedTuple):
    """One measure of one variant against another."""

    measure: Measure
    pair: tuple[str, str]
    prompts: int
    apart: Paired
    """p-values are adjusted for the pairs of the measure (Holm)."""
    equal_length: Estimate | None
    """What is left where both replies are equally long; None where length plays no part."""

    @property
    def verdict(self) -> str:
        """Whether interval and test both speak for the first variant, or against it, or leave it open."""
        low, high = sorted(end * self.measure.better for end in self.apart.difference[1:])
        if self.apart.p_value >= 0.05 or low <= 0 <= high:
            return "open"
        return "better" if low > 0 else "worse"


def at_equal_length(
    differences: Sequence[float], longer: Sequence[float], groups: Sequence[str], seed: int = 0, resamples: int = 1_000
) -> Estimate:
    """The mean difference of two variants that is left where their replies are equally long.

    The intercept of the least-squares line of the difference over how much longer the first reply is, with the
    bootstrap over groups. After length-controlled AlpacaEval (Dubois et al., 2024), which fits a logistic curve to
    preferences; a line serves scores and preferences alike.

    Args:
        differences: of each prompt, first variant less second.
        longer: log of the ratio of their lengths; 0 where equally long.
    """
    y, x = np.asarray(differences, dtype=np.float64), np.asarray(longer, dtype=np.float64)
    place = np.unique(np.array(groups), return_inverse=True)[1]
    sums = np.stack([np.bincount(place, column) for column in (np.ones_like(x), x, y, x * x, x * y)], axis=1)

    def intercept(total: np.ndarray) -> float:
        n, x, y, xx, xy = total
        spread = xx - x * x / n
        slope = (xy - x * y / n) / spread if spread > 1e-12 else 0.0
        return float((y - slope * x) / n)

    chance = np.random.default_rng(seed)
    drawn = [intercept(sums[chance.integers(0, len(sums), len(sums))].sum(axis=0)) for _ in range(resamples)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(intercept(sums.sum(axis=0)), float(low), float(high))


def weigh(made: Material) -> list[Evidence]:
    """Every measure of every pair of variants that were measured."""
    found = []
    pairs = [pair for pair in PAIRS if set(pair) <= set(made.variants)]
    for measure in measures(made):
        own = [weighed(made, measure, pair) for pair in pairs]
        told = [one for one in own if one]
        adjusted = holm([one.apart.p_value for one in told])
        found += [one._replace(apart=one.apart._replace(p_value=p)) for one, p in zip(told, adjusted, strict=True)]
    return found


def measures(made: Material) -> list[Measure]:
    n = made.results["candidates"]
    found = [
        Measure(f"Hits@1/{n} by PMI", "points", POINTS, 1, False, partial(hits, made.rows)),
        Measure("Loss on the films' replies", "nats per byte", 1.0, -1, False, partial(losses, made.rows)),
        Measure(f"Preferred by {made.results['judge']}", "points", POINTS, 1, True, partial(preferred, made.rows)),
    ]
    for judge in made.judges:
        scores = partial(scored, len(made.rows), overall(judge.rows))
        found.append(Measure(f"G-Eval by {judge.name}", "of 1 to 5", 1.0, 1, True, scores))
    if "raters" in made.people:
        choices = partial(chosen, made.items, made.people["raters"].votes)
        found.append(Measure("Chosen by raters", "points", POINTS, 1, True, choices))
    return found


def weighed(made: Material, measure: Measure, pair: tuple[str, str]) -> Evidence | None:
    """One measure of one pair, on the prompts that have it; None where none has."""
    values = measure.values(*pair)
    kept = [place for place, (a, b) in enumerate(zip(values.first, values.second, strict=True)) if a == a and b == b]
    if not kept:
        return None
    films = [made.rows[place]["movie_id"] for place in kept]
    first, second = ([column[place] for place in kept] for column in (values.first, values.second))
    weights = [values.weights[place] for place in kept] if values.weights else None
    apart = paired(first, second, films, weights=weights)
    equal = None
    if measure.of_replies:
        longer = [how_much_longer(made.rows[place], *pair) for place in kept]
        means = weights or [1.0] * len(kept)
        equal = at_equal_length([(a - b) / w for a, b, w in zip(first, second, means, strict=True)], longer, films)
    return Evidence(measure, pair, len(kept), apart, equal)


def how_much_longer(row: Row, first: str, second: str) -> float:
    """The log of the ratio of two replies' lengths in words, each with one for its end."""
    one, other = (len(words(row[variant]["text"])) + 1 for variant in (first, second))
    return math.log(one / other)


def hits(rows: Sequence[Row], first: str, second: str) -> Values:
    one, other = ([float(row[variant]["hit_pmi"]) for row in rows] for variant in (first, second))
    return Values(one, other)


def losses(rows: Sequence[Row], first: str, second: str) -> Values:
    """In nats, over the bytes of the films' replies."""
    one, other = ([row[variant]["film_reply_nats"] for row in rows] for variant in (first, second))
    return Values(one, other, [float(len(row["film_reply"].encode())) for row in rows])


def preferred(rows: Sequence[Row], first: str, second: str) -> Values:
    """1 for the variant whose response was preferred in both orders together, one half each for a tie."""
    won = []
    for row in rows:
        both = row["first_better"].get(f"{first} over {second}") or [math.nan]
        average = 0.5 if row[first]["text"] == row[second]["text"] else sum(both) / len(both)
        won.append(average if math.isnan(average) else 0.5 * (1 + (average > 0.5) - (average < 0.5)))
    return Values(won, [1 - share for share in won])


def scored(count: int, scores: Mapping[tuple[int, str], float], first: str, second: str) -> Values:
    one, other = ([scores.get((place, variant), math.nan) for place in range(count)] for variant in (first, second))
    return Values(one, other)


def overall(rows: Sequence[Row]) -> dict[tuple[int, str], float]:
    """By item and variant, the mean of a judge's scores over the criteria; only where every one is scored."""
    found: dict[tuple[int, str], list[float]] = {}
    for row in rows:
        value = math.nan if row["score"] is None else row["score"]
        found.setdefault((row["item"], row["voice"]), []).append(value)
    means = {place: sum(own) / len(own) for place, own in found.items()}
    return {place: mean for place, mean in means.items() if not math.isnan(mean)}


def chosen(items: Sequence[str], votes: Sequence[SheetVote], first: str, second: str) -> Values:
    """Of each prompt, how many of the raters' choices either variant got; NaN where nobody chose."""
    choices = grouped([vote for vote in votes if vote.copy == 0 and vote.chosen])
    one, other = (
        [credits(choices[i], variant) if i in choices else math.nan for i in items] for variant in (first, second)
    )
    return Values(one, other, [float(len(choices.get(item, ()))) for item in items])
