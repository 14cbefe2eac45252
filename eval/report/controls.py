"""Length control and style control: how two variants compare where their replies are alike in length, or in style.

A preference is fitted by logistic regression, as length-controlled AlpacaEval does (Dubois et al., 2024), without its
difficulty of each prompt; a score by least squares. Covariates are differences of the two replies, and the intercept is
what is left where there are none.
With the echo of the prompt's words and with punctuation beside the length it is Chatbot Arena's style control (Li et
al., 2024). The units of the intervals are whole films: pseudo-values of leaving out each (Tukey, 1958), tested and
inverted as everything else is (`stats.clustered`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from chat.template import Message
from stats.clustered import MIN_CLUSTERS, ClusterEstimate, clustered_mean
from stats.logistic import fit_logistic, logistic
from stats.style import STYLE, style_of

FEW = 0.05
"""Share of prompts on either side of equal covariates below which the equal point is extrapolated."""
RIDGE = 1e-3
"""Penalty on the squared slopes, so that a fit exists where wins and losses can be parted."""

Columns = npt.NDArray[np.float64]


class Controlled(NamedTuple):
    """Comparison at equal covariates."""

    estimate: ClusterEstimate
    """A win rate for preferences, a mean difference for scores."""
    extrapolated: tuple[str, ...]
    """Covariates that hardly any prompt has equal, or on the other side: there the model speaks, not the data."""

    def facts(self) -> dict[str, Any]:
        """The comparison as plain JSON."""
        return {**self.estimate._asdict(), "extrapolated": list(self.extrapolated)}


def style_differences(prompt: Sequence[Message], first: str, second: str) -> dict[str, float]:
    """Differences of two replies in style: words, share of them that the prompt has too, punctuation marks a word."""
    lines = [turn["content"] for turn in prompt if turn["role"] != "system"]
    one, other = (style_of(reply, lines) for reply in (first, second))
    return {name: a - b for name, a, b in zip(STYLE, one, other, strict=True)}


def at_equal_length_and_style(
    values: Sequence[float], differences: Sequence[Mapping[str, float]], films: Sequence[str], preference: bool
) -> tuple[Controlled, Controlled]:
    """Controlled comparisons: at equal length, and at equal STYLE.

    Args:
        values: as `at_equal` takes them.
        differences: of each prompt, `style_differences`.
        films: of each prompt, its film.
        preference: whether values are wins.
    """
    style = {name: [one[name] for one in differences] for name in STYLE}
    length, every = (
        at_equal(values, covariates, films, preference) for covariates in ({STYLE[0]: style[STYLE[0]]}, style)
    )
    return length, every


def at_equal(
    values: Sequence[float],
    covariates: Mapping[str, Sequence[float]],
    films: Sequence[str],
    preference: bool,
) -> Controlled:
    """Controlled comparison: the prediction where all covariates are 0.

    Args:
        values: of each prompt, the first variant's win (0, 0.5 or 1), or its score less the second's.
        covariates: by name, the differences of the two replies, first less second.
        films: of each prompt, its film.
        preference: whether values are wins: then the fit is logistic, and the estimate a win rate.
    """
    y, raw = np.asarray(values, dtype=np.float64), np.array(list(covariates.values()), dtype=np.float64)
    spread = raw.std(axis=1, keepdims=True)
    design = np.vstack([np.ones_like(y), np.tanh(raw / np.where(spread > 0, spread, 1.0))]).T
    fit = fit_preferences if preference else fit_least_squares
    whole = float(fit(design, y)[0])
    names, index = np.unique(np.array(films), return_inverse=True)
    count = len(names)
    ends: Callable[[float], float] = logistic if preference else float
    if count < MIN_CLUSTERS:
        estimate = ClusterEstimate(ends(whole), None, None, None, count)
    else:
        without = np.array([fit(design[index != film], y[index != film])[0] for film in range(count)])
        pseudo = whole + (count - 1) * (without.mean() - without)
        estimate = clustered_mean(pseudo.tolist(), names.tolist(), null=0.0, of=ends)
    return Controlled(estimate, tuple(name for name, own in covariates.items() if one_sided(own)))


def one_sided(differences: Sequence[float]) -> bool:
    """Whether equality lies outside of the differences, FEW of them left out on either side."""
    values = np.asarray(differences)
    return bool(min((values <= 0).mean(), (values >= 0).mean()) < FEW)


def fit_least_squares(design: Columns, y: Columns) -> Columns:
    """Coefficients of least squares; the intercept first, the slopes with the penalty RIDGE."""
    return np.asarray(np.linalg.solve(design.T @ design + penalty(design), design.T @ y))


def fit_preferences(design: Columns, y: Columns) -> Columns:
    """Coefficients of logistic regression with the penalty RIDGE; y may lie between 0 and 1."""
    intercept_too = RIDGE * np.eye(design.shape[1])  # wins alone have no finite intercept either
    return fit_logistic(design, y, penalty(design) + intercept_too)


def penalty(design: Columns) -> Columns:
    """Penalty matrix: RIDGE for each slope, nothing for the intercept."""
    return RIDGE * np.diag([0.0] + [1.0] * (design.shape[1] - 1))
