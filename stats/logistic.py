"""Logistic regression by Newton's method, for shares as well as for wins and losses."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]


def fit_logistic(design: Matrix, y: Matrix, penalty: Matrix | None = None, steps: int = 25) -> Matrix:
    """Coefficients of logistic regression by Newton's method.

    Without a penalty and where wins and losses can be parted there is no maximum: what comes back is large.

    Args:
        design: observations by covariates.
        y: of each observation, its outcome from 0 to 1.
        penalty: matrix of a penalty on the squared coefficients (ridge); none where not given.
        steps: at most so many.

    Raises:
        numpy.linalg.LinAlgError: covariates are collinear, and nothing penalises them.
    """
    found = np.zeros(design.shape[1])
    ridge = np.zeros((len(found), len(found))) if penalty is None else penalty
    for _ in range(steps):
        p = probabilities(design, found)
        slope = design.T @ (y - p) - ridge @ found
        step = np.linalg.solve((design.T * (p * (1 - p))) @ design + ridge, slope)
        found = found + np.clip(step, -5, 5)  # nearly parted wins would throw it far beyond
        if np.abs(step).max() < 1e-9:
            break
    return found


def probabilities(design: Matrix, coefficients: Matrix) -> Matrix:
    """Fitted probability of each observation."""
    return np.asarray(1 / (1 + np.exp(-np.clip(design @ coefficients, -30, 30))))


def clustered_covariance(
    design: Matrix, y: Matrix, coefficients: Matrix, clusters: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Covariance of coefficients that is robust to dependence within clusters (Liang and Zeger, 1986).

    The sandwich of the scores' sums by cluster, times G/(G-1) and (n-1)/(n-k) of G clusters, n observations and k
    coefficients, as Stata and statsmodels have it.

    Args:
        design: observations by covariates.
        y: of each observation, its outcome from 0 to 1.
        coefficients: of the fit without a penalty.
        clusters: of each observation, the number of its cluster, from 0.
    """
    p = probabilities(design, coefficients)
    bread = np.linalg.inv((design.T * (p * (1 - p))) @ design)
    count, (n, k) = int(clusters.max()) + 1, design.shape
    sums = np.zeros((count, k))
    np.add.at(sums, clusters, design * (y - p)[:, None])
    return np.asarray(bread @ (sums.T @ sums) @ bread * (count / (count - 1)) * ((n - 1) / (n - k)))


def logistic(value: float) -> float:
    """Logistic function, increasing and exact at both ends."""
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0
