"""A value with its 95% interval, and a share's: for the evaluation and for the page's running vote alike."""

from __future__ import annotations

import math
from typing import NamedTuple

Z = 1.959964  # the normal distribution's 97.5% quantile


class Estimate(NamedTuple):
    """A value with the ends of its 95% interval."""

    value: float
    low: float
    high: float


def wilson(successes: int, n: int) -> Estimate:
    """A share of n with its score interval (Wilson, 1927).

    Raises ValueError where n is 0: nothing was measured.
    """
    if n == 0:
        raise ValueError("a share of nothing")
    share = successes / n
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return Estimate(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))  # but for rounding
