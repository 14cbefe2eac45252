"""Bradley-Terry model with style covariates: who wins against whom, were both replies alike in style.

The logit of "the first wins" is the difference of two strengths (Bradley and Terry, 1952) and a slope for each
difference in style, as Chatbot Arena's style control has it (Chiang et al., 2024; Li et al., 2024). A choice out of
several is its comparisons with all that were not chosen, which is consistent for Luce's choice model (Azari Soufiani et
al., 2013); a tie is half a win for either. The 95% intervals are clustered by rater (Liang and Zeger, 1986), with
Student's t of one degree less than there are raters: votes of one rater, and the comparisons within a vote, hang
together.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stats.intervals import Estimate
from stats.logistic import clustered_covariance, fit_logistic, logistic
from stats.style import STYLE, Style, relative_difference

FIT_CLUSTERS = 50
"""Raters below which nothing is fitted. A sandwich of fewer than 40 to 50 clusters is too narrow (Angrist and Pischke,
2009), and five coefficients (two strengths, three of style) take ten votes each (Peduzzi et al., 1996)."""
PARTED = 12.0
"""Size of a coefficient that only votes without a finite fit reach."""


class NoFit(ValueError):
    """There is no fit; the message is why, in one line."""


class Battle(NamedTuple):
    """Comparison of two variants by one rater."""

    first: str
    second: str
    won: float
    """1 where the first won, 0 where the second did, one half of a tie."""
    style: Style | None
    """Of the first less that of the second; None where the replies are not known."""
    cluster: str
    """The rater, or what else the comparison shares with others that are not independent of it."""


class WinRates(NamedTuple):
    """Win rates under the model, at equal style."""

    rates: dict[str, Estimate]
    """By pair, "dpo over sft", the later variant first."""
    style: tuple[str, ...]
    """Names of the covariates."""
    battles: int
    clusters: int


def battles_of(
    chosen: Collection[str], shown: Sequence[str], styles: Mapping[str, Style], cluster: str
) -> list[Battle]:
    """Battles of one vote, each with the variant that is later in `shown` first.

    Args:
        chosen: the variants behind the chosen reply, which tie; none where no reply was better than the others.
        shown: all variants on the ballot.
        styles: by variant; without those whose replies are not known.
        cluster: the rater.
    """
    found = []
    for second, first in itertools.combinations(shown, 2):
        if chosen and first not in chosen and second not in chosen:
            continue  # nobody was asked
        won = 0.5 * (1 + (first in chosen) - (second in chosen))
        known = first in styles and second in styles
        style = relative_difference(styles[first], styles[second]) if known else None
        found.append(Battle(first, second, won, style, cluster))
    return found


def win_rates(battles: Sequence[Battle], variants: Sequence[str], unit: str = "raters") -> WinRates:
    """Win rates of each two variants, at equal style where all styles are known.

    Args:
        battles: of `battles_of`.
        variants: in order; the later is compared with the earlier.
        unit: what the clusters are, for the message.

    Raises:
        NoFit: there are fewer than FIT_CLUSTERS clusters, or no finite fit.
    """
    names, clusters = np.unique([battle.cluster for battle in battles], return_inverse=True)
    if len(names) < FIT_CLUSTERS:
        raise NoFit(
            f"{len(names)} of the {FIT_CLUSTERS} {unit} that Bradley-Terry takes: of fewer its intervals are too narrow"
        )
    design, style = design_of(battles, variants)
    y = np.array([battle.won for battle in battles])
    try:
        fitted = fit_logistic(design, y)
        if np.abs(fitted).max() > PARTED:
            raise NoFit("no finite Bradley-Terry fit: a variant, or a style, has won everything")
        covariance = clustered_covariance(design, y, fitted, clusters)
    except np.linalg.LinAlgError:
        raise NoFit("no finite Bradley-Terry fit: a variant was never compared, or styles hang together") from None
    rates = {}
    for (place, earlier), (further, later) in itertools.combinations(enumerate(variants), 2):
        contrast = strength(further, design.shape[1]) - strength(place, design.shape[1])
        rates[f"{later} over {earlier}"] = rate_of_contrast(contrast, fitted, covariance, len(names))
    return WinRates(rates, style, len(battles), len(names))


def design_of(battles: Sequence[Battle], variants: Sequence[str]) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    """Design matrix, and the names of its covariates.

    Its columns are the strengths of all variants but the first, and the styles that vary, over their root mean square.
    """
    places = {name: place for place, name in enumerate(variants)}
    width = len(variants) - 1
    strengths = np.array([strength(places[one.first], width) - strength(places[one.second], width) for one in battles])
    if any(one.style is None for one in battles):
        return strengths, ()
    styles = np.array([one.style for one in battles], dtype=np.float64)
    size = np.sqrt(np.square(styles).mean(axis=0))
    vary = size > 0
    return np.hstack([strengths, styles[:, vary] / size[vary]]), tuple(itertools.compress(STYLE, vary))


def strength(place: int, width: int) -> npt.NDArray[np.float64]:
    """Row of a design with the strength of one variant alone; the first variant's is 0."""
    return np.eye(1, width, place - 1)[0] if place else np.zeros(width)


def rate_of_contrast(
    contrast: npt.NDArray[np.float64],
    fitted: npt.NDArray[np.float64],
    covariance: npt.NDArray[np.float64],
    clusters: int,
) -> Estimate:
    """Win rate of a difference of strengths, with its 95% interval."""
    from scipy.stats import t

    value = float(contrast @ fitted)
    half = float(t.ppf(0.975, clusters - 1)) * float(np.sqrt(contrast @ covariance @ contrast))
    return Estimate(logistic(value), logistic(value - half), logistic(value + half))
