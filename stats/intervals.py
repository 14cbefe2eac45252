"""Confidence intervals (Wilson, cluster bootstrap) and tests (sign-flip, Holm) at 95%.

The clusters are prompts, or films: measurements of one cluster are not independent of each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np

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
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return Estimate(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))  # but for rounding


def bootstrap_ratio(
    numerators: Sequence[float],
    denominators: Sequence[float],
    seed: int,
    of: Callable[[np.ndarray], np.ndarray] = np.asarray,
    resamples: int = 1_000,
) -> Estimate:
    """Cluster bootstrap of a ratio of sums, with the percentile interval (Efron, 1979).

    Args:
        numerators: of each cluster; a mean has the clusters' sums here,
        denominators: and their sizes here.
        seed: of the resamples.
        of: applied to the ratio, element by element, such as exp for a perplexity.
        resamples: how many.
    """
    columns = np.array([numerators, denominators], dtype=np.float64)
    rng = np.random.default_rng(seed)
    n = columns.shape[1]
    sums = np.stack([columns[:, rng.integers(0, n, n)].sum(axis=1) for _ in range(resamples)])
    low, high = np.quantile(of(sums[:, 0] / sums[:, 1]), [0.025, 0.975])
    return Estimate(float(of(columns[0].sum() / columns[1].sum())), float(low), float(high))


def sign_flip_test(differences: Sequence[float], seed: int, flips: int = 10_000) -> float:
    """Sign-flip test: two-sided mid-p-value that differences, one a cluster, are symmetric about 0 (Fisher, 1935).

    Under that null each cluster's difference could as well have had the other sign; whatever hangs together within a
    cluster stays together. Sums as far out as the observed one count half (the mid-p value, Lancaster, 1961): votes are
    whole numbers, and the p-value that counts them whole is too careful by several points of power.
    """
    values = np.array([value for value in differences if value], dtype=np.float64)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (flips, len(values)))
    beyond = np.abs(signs @ values) - abs(values.sum())
    farther, as_far = (beyond > 1e-9).sum(), (abs(beyond) <= 1e-9).sum()
    return float((farther + (1 + as_far) / 2) / (1 + flips))


def holm_correction(p_values: Sequence[float]) -> list[float]:
    """Holm correction: p-values adjusted for being several (Holm, 1979), in the order given."""
    order = np.argsort(p_values)
    raised = [min(1.0, (len(order) - rank) * p_values[index]) for rank, index in enumerate(order)]
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(raised)
    return adjusted.tolist()


class Paired(NamedTuple):
    """Paired difference of two systems on the same prompts."""

    difference: Estimate
    p_value: float
    """Of the sign-flip test, two-sided."""


def paired_difference(
    first: Sequence[float],
    second: Sequence[float],
    clusters: Sequence[Hashable],
    seed: int = 0,
    weights: Sequence[float] | None = None,
) -> Paired:
    """Paired difference of two systems that answered the same prompts, with whole clusters (films) as the units.

    The interval is the cluster bootstrap; the test flips the sign of each cluster's sum. With one prompt a cluster and
    values of 0 or 1 it is McNemar's test (1947), mid-p: only the prompts on which the systems differ count.

    Args:
        first: of each prompt, what was measured of the one system,
        second: and of the other.
        clusters: of each prompt, what it shares with others that are not independent of it.
        seed: of bootstrap and test.
        weights: of each prompt, what its value is a sum over (bytes of a reply); 1 where not given.
    """
    index = np.unique(np.array([str(cluster) for cluster in clusters]), return_inverse=True)[1]
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    sums = np.bincount(index, differences)
    sizes = np.bincount(index, weights)
    return Paired(bootstrap_ratio(sums.tolist(), sizes.tolist(), seed), sign_flip_test(sums.tolist(), seed))
