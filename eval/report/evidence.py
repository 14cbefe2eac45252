"""Evidence for one variant against another: paired differences on the same prompts, and length-controlled ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from eval.human.analysis import credits, votes_by_item
from eval.human.sheet_votes import SheetVote
from eval.metrics import tokenize_words
from eval.report.gather import Material
from eval.rows import PAIRS, Response, ScoreRow
from stats.intervals import Estimate, Paired, holm_correction, paired_difference

POINTS = 100.0  # shares are shown in percentage points


class Values(NamedTuple):
    """Values of one measure for two variants on every prompt; NaN where it is missing."""

    first: list[float]
    second: list[float]
    weights: list[float] | None = None
    """What each value is a sum over; None: 1."""


class Measure(NamedTuple):
    """Measure by which two variants are compared."""

    title: str
    unit: str
    scale: float
    """By what a difference is multiplied where it is shown."""
    direction: int
    """1 where more is better, -1 where less is."""
    of_replies: bool
    """Whether it is of the variants' own replies, whose length may decide it."""
    values: Callable[[str, str], Values]
    """Gives the values of two variants."""


class Evidence(NamedTuple):
    """Evidence of one measure for one variant against another."""

    measure: Measure
    pair: tuple[str, str]
    prompts: int
    paired: Paired
    """p-values are adjusted for the pairs of the measure (Holm)."""
    equal_length: Estimate | None
    """What is left where both replies are equally long; None where length plays no part."""

    @property
    def verdict(self) -> str:
        """Verdict `better`, `worse` or `open`: whether interval and test agree on the first variant."""
        low, high = sorted(end * self.measure.direction for end in self.paired.difference[1:])
        if self.paired.p_value >= 0.05 or low <= 0 <= high:
            return "open"
        return "better" if low > 0 else "worse"


def at_equal_length(
    differences: Sequence[float],
    length_ratios: Sequence[float],
    clusters: Sequence[str],
    seed: int = 0,
    resamples: int = 1_000,
) -> Estimate:
    """Length-controlled mean difference of two variants: what is left where their replies are equally long.

    The intercept of the least-squares line of the difference over the log ratio of the lengths, with the cluster
    bootstrap. After length-controlled AlpacaEval (Dubois et al., 2024), which fits a logistic curve to
    preferences; a line serves scores and preferences alike.

    Args:
        differences: of each prompt, first variant less second.
        length_ratios: log of the ratio of their lengths; 0 where equally long.
        clusters: of each prompt, its film.
        seed: of the bootstrap.
        resamples: how many.
    """
    y, x = np.asarray(differences, dtype=np.float64), np.asarray(length_ratios, dtype=np.float64)
    index = np.unique(np.array(clusters), return_inverse=True)[1]
    sums = np.stack([np.bincount(index, column) for column in (np.ones_like(x), x, y, x * x, x * y)], axis=1)

    def intercept(total: np.ndarray) -> float:
        n, x, y, xx, xy = total
        spread = xx - x * x / n
        slope = (xy - x * y / n) / spread if spread > 1e-12 else 0.0
        return float((y - slope * x) / n)

    rng = np.random.default_rng(seed)
    drawn = [intercept(sums[rng.integers(0, len(sums), len(sums))].sum(axis=0)) for _ in range(resamples)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(intercept(sums.sum(axis=0)), float(low), float(high))


def weigh_evidence(made: Material) -> list[Evidence]:
    """Evidence of every measure for every pair of variants, with Holm's correction over the pairs of a measure."""
    found = []
    pairs = [pair for pair in PAIRS if set(pair) <= set(made.variants)]
    for measure in measures(made):
        every = [compare_pair(made, measure, pair) for pair in pairs]
        known = [one for one in every if one]
        adjusted = holm_correction([one.paired.p_value for one in known])
        found += [one._replace(paired=one.paired._replace(p_value=p)) for one, p in zip(known, adjusted, strict=True)]
    return found


def measures(made: Material) -> list[Measure]:
    """Measures that there is something for."""
    n = made.results["candidates"]
    found = [
        Measure(f"Hits@1/{n} by PMI", "points", POINTS, 1, False, partial(hit_values, made.responses)),
        Measure("Loss on the films' replies", "nats per byte", 1.0, -1, False, partial(loss_values, made.responses)),
        Measure(
            f"Preferred by {made.results['judge']}",
            "points",
            POINTS,
            1,
            True,
            partial(preference_values, made.responses),
        ),
    ]
    for judge in made.judges:
        scores = partial(score_values, len(made.responses), overall_scores(judge.rows))
        found.append(Measure(f"G-Eval by {judge.name}", "of 1 to 5", 1.0, 1, True, scores))
    if "raters" in made.people:
        choices = partial(choice_values, made.sheet_ids, made.people["raters"].votes)
        found.append(Measure("Chosen by raters", "points", POINTS, 1, True, choices))
    return found


def compare_pair(made: Material, measure: Measure, pair: tuple[str, str]) -> Evidence | None:
    """Evidence of one measure for one pair, on the prompts that have it; None where none has."""
    values = measure.values(*pair)
    kept = [index for index, (a, b) in enumerate(zip(values.first, values.second, strict=True)) if a == a and b == b]
    if not kept:
        return None
    films = [made.responses[index].movie_id for index in kept]
    first, second = ([column[index] for index in kept] for column in (values.first, values.second))
    weights = [values.weights[index] for index in kept] if values.weights else None
    difference = paired_difference(first, second, films, weights=weights)
    equal = None
    if measure.of_replies:
        length_ratios = [log_length_ratio(made.responses[index], *pair) for index in kept]
        sizes = weights or [1.0] * len(kept)
        equal = at_equal_length(
            [(a - b) / w for a, b, w in zip(first, second, sizes, strict=True)], length_ratios, films
        )
    return Evidence(measure, pair, len(kept), difference, equal)


def log_length_ratio(response: Response, first: str, second: str) -> float:
    """Log ratio of two replies' lengths in words, each with one for its end."""
    one, other = (len(tokenize_words(response.variants[variant].text)) + 1 for variant in (first, second))
    return math.log(one / other)


def hit_values(responses: Sequence[Response], first: str, second: str) -> Values:
    """Hits@1 by PMI, 0 or 1."""
    one, other = ([float(row.variants[variant].hit_pmi) for row in responses] for variant in (first, second))
    return Values(one, other)


def loss_values(responses: Sequence[Response], first: str, second: str) -> Values:
    """Loss on the films' replies in nats, over their UTF-8 bytes."""
    one, other = ([row.variants[variant].film_reply_nats for row in responses] for variant in (first, second))
    return Values(one, other, [float(len(row.film_reply.encode())) for row in responses])


def preference_values(responses: Sequence[Response], first: str, second: str) -> Values:
    """Preference: 1 for the variant whose response won over both orders together, one half each for a tie."""
    won = []
    for row in responses:
        both = row.first_better.get(f"{first} over {second}") or [math.nan]
        same = row.variants[first].text == row.variants[second].text
        average = 0.5 if same else sum(both) / len(both)
        won.append(average if math.isnan(average) else 0.5 * (1 + (average > 0.5) - (average < 0.5)))
    return Values(won, [1 - share for share in won])


def score_values(count: int, scores: Mapping[tuple[int, str], float], first: str, second: str) -> Values:
    """A judge's scores by prompt, of `count` prompts."""
    one, other = ([scores.get((index, variant), math.nan) for index in range(count)] for variant in (first, second))
    return Values(one, other)


def overall_scores(rows: Sequence[ScoreRow]) -> dict[tuple[int, str], float]:
    """Mean score over the criteria by item and variant; only where every one is scored."""
    found: dict[tuple[int, str], list[float]] = {}
    for row in rows:
        value = math.nan if row["score"] is None else row["score"]
        found.setdefault((row["item"], row["voice"]), []).append(value)
    means = {key: sum(own) / len(own) for key, own in found.items()}
    return {key: mean for key, mean in means.items() if not math.isnan(mean)}


def choice_values(items: Sequence[str], votes: Sequence[SheetVote], first: str, second: str) -> Values:
    """Credits of either variant for the raters' choices, by prompt; NaN where nobody chose."""
    choices = votes_by_item([vote for vote in votes if vote.copy == 0 and vote.chosen])
    one, other = (
        [credits(choices[i], variant) if i in choices else math.nan for i in items] for variant in (first, second)
    )
    return Values(one, other, [float(len(choices.get(item, ()))) for item in items])
