"""Measured share or mean, with an interval clustered by film, its sample size and its number of films."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stats.clustered import clustered_mean, too_few


class Measured(NamedTuple):
    """Mean over judgements; its interval has films as the units. None where nothing was measured, or films are few."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    films: int

    def describe(self, spec: str = ".1%") -> str:
        """The value with its interval, or why there is none."""
        if self.value is None:
            return "not measured"
        if self.low is None or self.high is None:
            return f"{self.value:{spec}} ({too_few(self.films)} for an interval)"
        return f"{self.value:{spec}} ({self.low:{spec}} to {self.high:{spec}})"


def clustered(values: Sequence[float], films: Sequence[str], weights: Sequence[float] | None = None) -> Measured:
    """Weighted mean of values, with the film of each as its cluster."""
    if not values:
        return Measured(None, None, None, 0, 0)
    sums = [value * weight for value, weight in zip(values, weights, strict=True)] if weights else values
    estimate = clustered_mean(sums, films, weights)
    return Measured(estimate.value, estimate.low, estimate.high, len(values), estimate.clusters)
