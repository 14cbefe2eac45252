"""Clustered estimates: the sign-flip test and the interval that inverts it, with whole films as the units, at 95%.

What is measured within one film hangs together, so that only films are independent of each other. Under the null that
the mean is theta, what a film has above it (the sum of its values less theta for each unit of weight) could as well
have had the other sign (Fisher, 1935). A choice of signs parts the films in two halves, and theta is rejected where it
lies outside of nearly all halves' own means: the ends of the interval are quantiles of the means of random subsets of
films (Hartigan, 1969). Interval and p-value are thus one thing: the interval leaves a value out where its p is at most
0.05. Shares of 0 and 1 without a null have Wilson's interval for the number of prompts that they are worth: near 0% and
100% many studies see no film that differs. tests/stats/test_clustered.py measures coverage and type I error.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stats.intervals import Z, wilson_ends

ALPHA = 0.05
MIN_CLUSTERS = 6  # of 5, the least p of all flips is 2/32
EXACT_CLUSTERS = 16  # up to here every flip is taken,
DRAWS = 10_000  # beyond as many drawn ones,
SEED = 0  # by this seed, everywhere, so that one quantity has one interval

Floats = npt.NDArray[np.float64]


class ClusterEstimate(NamedTuple):
    """Estimate from clustered values; with fewer than MIN_CLUSTERS clusters it has neither interval nor p-value."""

    value: float
    low: float | None
    high: float | None
    """Ends of the 95% interval."""
    p_value: float | None
    """Two-sided; None too where no null was given."""
    clusters: int


def paired_difference(
    first: Sequence[float],
    second: Sequence[float],
    clusters: Sequence[Hashable],
    weights: Sequence[float] | None = None,
) -> ClusterEstimate:
    """Paired difference of two systems on the same prompts: `clustered_mean` of first less second, the null being 0."""
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    return clustered_mean(differences.tolist(), clusters, weights, null=0.0)


def clustered_mean(
    values: Sequence[float],
    clusters: Sequence[Hashable],
    weights: Sequence[float] | None = None,
    null: float | None = None,
    of: Callable[[float], float] = float,
) -> ClusterEstimate:
    """Mean of clustered values, or the ratio of their sum to the weights', with interval and sign-flip test.

    Args:
        values: one a prompt, none missing.
        clusters: of each prompt, what it shares with others that are not independent of it: its film.
        weights: of each prompt, what its value is a sum over (bytes of a reply); 1 where not given.
        null: the mean that the p-value tests; no p-value without.
        of: increasing function that is applied to the mean and its ends, such as exp for a perplexity.

    Raises:
        ValueError: nothing was measured.
    """
    _, index = np.unique(np.array([str(cluster) for cluster in clusters]), return_inverse=True)
    sizes = np.bincount(index, weights).astype(np.float64)
    centre = null or 0.0  # the null becomes 0, so that rounding cannot part it from its equals
    above = np.bincount(index, np.asarray(values, dtype=np.float64)) - centre * sizes
    above, sizes = above[sizes > 0], sizes[sizes > 0]
    count = len(sizes)
    if not count:
        raise ValueError("the mean of nothing")
    value = of(float(above.sum() / sizes.sum()) + centre)
    if count < MIN_CLUSTERS:
        return ClusterEstimate(value, None, None, None, count)
    means = subset_means(above, sizes)
    low, high = map(of, inverted_test(means, centre))
    return ClusterEstimate(value, low, high, None if null is None else flip_p_value(means, 0.0), count)


def clustered_share(values: Sequence[bool], clusters: Sequence[Hashable]) -> ClusterEstimate:
    """Share of clustered prompts with Wilson's interval for the effective sample size (Dean and Pagano, 2015).

    The size is the number of prompts over the design effect (that of CR2's variance), which is reckoned by Student's t
    of one degree less than there are clusters, and at most the number of prompts (Korn and Graubard, 1998).

    Raises:
        ValueError: nothing was measured.
    """
    from scipy.stats import t

    _, index = np.unique(np.array([str(cluster) for cluster in clusters]), return_inverse=True)
    sums, sizes = np.bincount(index, np.asarray(values, dtype=np.float64)), np.bincount(index)
    prompts, count = int(sizes.sum()), len(sizes)
    if not prompts:
        raise ValueError("a share of nothing")
    share = float(sums.sum()) / prompts
    if count < MIN_CLUSTERS:
        return ClusterEstimate(share, None, None, None, count)
    of_prompts = share * (1 - share) / prompts
    of_clusters = float(((sums - share * sizes) ** 2 / (1 - sizes / prompts)).sum()) / prompts**2
    design = of_clusters / of_prompts * (float(t.ppf(1 - ALPHA / 2, count - 1)) / Z) ** 2 if of_prompts else 1.0
    low, high = wilson_ends(share, prompts / max(1.0, design))
    return ClusterEstimate(share, low, high, None, count)


def subset_means(sums: Floats, sizes: Floats) -> Floats:
    """Means of subsets of clusters, sorted: of all that are not empty, or of drawn ones with their complements."""
    every = subsets(len(sums))
    both = np.stack([sums, sizes], axis=1)
    picked = np.concatenate([part.astype(np.float64) @ both for part in np.array_split(every, 8)])  # 8: for memory
    top, bottom = np.concatenate([picked, both.sum(axis=0) - picked]).T
    filled = bottom > 1e-9 * sizes.sum()
    means: Floats = np.sort(top[filled] / bottom[filled])
    means[np.abs(means) <= tolerance(means)] = 0.0
    return means


@functools.lru_cache(maxsize=8)
def subsets(count: int) -> npt.NDArray[np.bool_]:
    """Subsets of clusters, a row each: one of every two complements."""
    if count > EXACT_CLUSTERS:
        return np.random.default_rng(SEED).random((DRAWS // 2, count)) < 0.5
    numbers = np.arange(2 ** (count - 1))
    return np.asarray(numbers[:, None] >> np.arange(count) & 1, dtype=np.bool_)


def flip_p_value(means: Floats, null: float) -> float:
    """Two-sided p-value of a sign-flip test, from the sorted means of subsets.

    A flip that leaves the sum as far out as it is seen counts half (the mid-p value, Lancaster, 1961): votes and hits
    are whole numbers, and tie. The one that flips nothing counts whole, so that no p is 0 (Phipson and Smyth, 2010).
    """
    below = int(np.searchsorted(means, null - tolerance(means)))
    above = len(means) - int(np.searchsorted(means, null + tolerance(means), "right"))
    ties = len(means) - below - above
    return min(1.0, 2 * (min(below, above) + ties / 2 + 1) / (len(means) + 1))


def inverted_test(means: Floats, centre: float) -> tuple[float, float]:
    """Interval of the nulls that `flip_p_value` does not reject, plus `centre`, from the sorted means of subsets.

    An end that is itself rejected is left out: moved inwards by a float's width.
    """
    outside = int(ALPHA / 2 * (len(means) + 1))
    ends = (float(means[outside - 1]), np.inf), (float(means[-outside]), -np.inf)
    low, high = (
        end + centre if flip_p_value(means, end) > ALPHA else float(np.nextafter(end + centre, inwards))
        for end, inwards in ends
    )
    return low, high


def tolerance(means: Floats) -> float:
    """Distance within which two means are equal but for rounding."""
    return 1e-9 * float(max(abs(means[0]), abs(means[-1])))


def too_few(clusters: int, unit: str = "films") -> str:
    """Note in place of interval and verdict: "2 films: too few"."""
    return f"{clusters} {unit[:-1] if clusters == 1 else unit}: too few"
