"""Wilson's interval of independent trials, and Holm's correction, at 95%.

What is measured on films is for `stats.clustered`: measurements of one film are not independent of each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

Z = 1.959964  # the normal distribution's 97.5% quantile


class Estimate(NamedTuple):
    """Point estimate with the ends of its 95% interval."""

    value: float
    low: float
    high: float


def wilson_interval(successes: int, n: int) -> Estimate:
    """Wilson interval: a share of n with its score interval (Wilson, 1927).

    Raises:
        ValueError: n is 0, nothing was measured.
    """
    if n == 0:
        raise ValueError("a share of nothing")
    share = successes / n
    return Estimate(share, *wilson_ends(share, n))


def wilson_ends(share: float, n: float) -> tuple[float, float]:
    """Ends of the score interval of a share of n (Wilson, 1927)."""
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))  # but for rounding


def holm_correction(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm correction: p-values adjusted for being several (Holm, 1979), in the order given; None counts as none."""
    order = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(order):
        adjusted[index] = highest = max(highest, min(1.0, (len(order) - rank) * p))
    return adjusted
