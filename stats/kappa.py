"""Cohen's and Fleiss' kappa: agreement between raters beyond chance."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float:
    """Cohen's kappa: agreement of two raters beyond chance, (p_o - p_e) / (1 - p_e) (Cohen, 1960).

    NaN where there is nothing, or where both always give the same one category: then chance explains all.
    """
    n = len(first)
    observed = sum(a == b for a, b in zip(first, second, strict=True))
    left, right = Counter(first), Counter(second)
    expected = sum(left[category] * right[category] for category in left)
    return (observed * n - expected) / (n * n - expected) if n * n != expected else math.nan


def fleiss_kappa(ratings: Sequence[Sequence[Hashable]]) -> float:
    """Fleiss' kappa: agreement of several raters beyond chance (Fleiss, 1971); NaN as in `cohen_kappa`.

    Args:
        ratings: for each item, its raters' categories; as many for every item, at least two.

    Raises:
        ValueError: items have different numbers of raters.
    """
    raters = {len(item) for item in ratings}
    if len(raters) != 1 or min(raters) < 2:
        raise ValueError(f"every item takes the same number of raters, at least 2; there are {sorted(raters)}")
    n = raters.pop()
    counts = [Counter(item) for item in ratings]
    observed = sum(sum(c * (c - 1) for c in item.values()) for item in counts) / (len(counts) * n * (n - 1))
    total = sum(counts, Counter())
    expected = sum((c / (n * len(counts))) ** 2 for c in total.values())
    return (observed - expected) / (1 - expected) if expected < 1 else math.nan
