"""Position bias, length bias, and the agreement of two judges (Cohen's kappa)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stats.intervals import Estimate, wilson_interval
from stats.kappa import cohen_kappa

Orders = Sequence[tuple[float, float]]
"""Of each pair, the probability that the reply shown first is better, in either order."""


def first_wins(orders: Orders) -> Estimate | None:
    """Position bias: the share of judgements in which the reply shown first won, of both orders; ties and NaN left out.

    A judge without a position bias is at one half, whatever the replies: each of them is first once.
    """
    decided = [p > 0.5 for pair in orders for p in pair if p != 0.5 and not math.isnan(p)]
    return wilson_interval(sum(decided), len(decided)) if decided else None


def longer_wins(replies: Sequence[tuple[str, str]], probabilities: Sequence[float]) -> Estimate | None:
    """Length bias: the share of pairs of unequal length in which the longer reply won; ties and NaN left out."""
    decided = [
        (len(first) > len(second)) == (p > 0.5)
        for (first, second), p in zip(replies, probabilities, strict=True)
        if len(first) != len(second) and p != 0.5 and not math.isnan(p)
    ]
    return wilson_interval(sum(decided), len(decided)) if decided else None


def averaged(orders: Orders) -> list[float]:
    """Order-averaged probability that the first reply of each pair is better.

    A position bias that adds to the one order takes from the other.
    """
    return [(ahead + 1 - swapped) / 2 for ahead, swapped in orders]


def agreement(first: Sequence[float], second: Sequence[float]) -> dict[str, float]:
    """Agreement of two judges on the better reply of a pair, raw and as Cohen's kappa; ties and NaN left out."""
    both = [(a > 0.5, b > 0.5) for a, b in zip(first, second, strict=True) if not {0.5} & {a, b} and a == a and b == b]
    if not both:
        return {"pairs": 0, "raw": math.nan, "kappa": math.nan}
    raw = sum(a == b for a, b in both) / len(both)
    return {"pairs": len(both), "raw": raw, "kappa": cohen_kappa(*zip(*both, strict=True))}
