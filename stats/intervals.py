"""A value is given with its 95% interval. Prompts are the units: what is said of one prompt hangs together."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["Estimate", "Paired", "Z", "holm", "paired", "ratio", "sign_flip", "wilson"]


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


def ratio(
    above: Sequence[float],
    below: Sequence[float],
    seed: int,
    of: Callable[[np.ndarray], np.ndarray] = np.asarray,
    resamples: int = 1_000,
) -> Estimate:
    """of(sum(above) / sum(below)), one entry a prompt, with the percentile bootstrap over prompts (Efron, 1979)."""
    columns = np.array([above, below], dtype=np.float64)
    chance = np.random.default_rng(seed)
    n = columns.shape[1]
    sums = np.stack([columns[:, chance.integers(0, n, n)].sum(axis=1) for _ in range(resamples)])
    low, high = np.quantile(of(sums[:, 0] / sums[:, 1]), [0.025, 0.975])
    return Estimate(float(of(columns[0].sum() / columns[1].sum())), float(low), float(high))


def sign_flip(differences: Sequence[float], seed: int, flips: int = 10_000) -> float:
    """Two-sided p-value that differences, one a prompt, are as often against as for (randomization, Fisher, 1935).

    Under that null each prompt's difference could as well have had the other sign; whatever hangs together within a
    prompt stays together. Sums as far out as the observed one count half (the mid-p value, Lancaster, 1961): votes are
    whole numbers, and the p-value that counts them whole is too careful by several points of power.
    """
    values = np.array([value for value in differences if value], dtype=np.float64)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (flips, len(values)))
    beyond = np.abs(signs @ values) - abs(values.sum())
    farther, as_far = (beyond > 1e-9).sum(), (abs(beyond) <= 1e-9).sum()
    return float((farther + (1 + as_far) / 2) / (1 + flips))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for being several (Holm, 1979), in the order given."""
    order = np.argsort(p_values)
    raised = [min(1.0, (len(order) - rank) * p_values[place]) for rank, place in enumerate(order)]
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(raised)
    return adjusted.tolist()


class Paired(NamedTuple):
    """How far one variant lies above another on the same prompts."""

    difference: Estimate
    p_value: float


def paired(
    first: Sequence[float],
    second: Sequence[float],
    groups: Sequence[Hashable],
    seed: int = 0,
    weights: Sequence[float] | None = None,
) -> Paired:
    """The mean difference of two variants that answered the same prompts, with whole groups (films) as the units.

    The interval is the bootstrap over groups; the test flips the sign of each group's sum. With one prompt a group and
    values of 0 or 1 it is McNemar's test (1947), mid-p: only the prompts on which the variants differ count.

    Args:
        first, second: of each prompt, what was measured of either variant.
        groups: of each prompt, what it shares with others that are not independent of it.
        weights: of each prompt, what its value is a sum over (bytes of a reply); 1 where not given.
    """
    place = np.unique(np.array([str(group) for group in groups]), return_inverse=True)[1]
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    sums = np.bincount(place, differences)
    sizes = np.bincount(place, weights)
    return Paired(ratio(sums.tolist(), sizes.tolist(), seed), sign_flip(sums.tolist(), seed))
