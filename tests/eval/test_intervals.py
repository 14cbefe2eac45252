"""Intervals and tests: against hand-made values, other libraries, and the truth of simulated studies."""

import math
from itertools import product

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from eval.intervals import holm, ratio, sign_flip, wilson


def test_the_bootstrap_has_the_spread_of_a_mean():
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    estimate = ratio(values.tolist(), [1.0] * 400, seed=1)
    error = values.std() / math.sqrt(400)
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(values.mean() - 1.96 * error, abs=0.3 * error)
    assert estimate.high == pytest.approx(values.mean() + 1.96 * error, abs=0.3 * error)
    assert estimate == ratio(values.tolist(), [1.0] * 400, seed=1)
    assert estimate != ratio(values.tolist(), [1.0] * 400, seed=2)


def test_the_bootstrap_draws_whole_prompts():
    """Above and below stay together: where each prompt has the same ratio there is nothing to vary."""
    assert ratio([1, 2, 30], [2, 4, 60], seed=1) == (0.5, 0.5, 0.5)


def test_the_bootstrap_covers_the_truth():
    """1,000 studies of 150 prompts by 2 or 3 raters who agree beyond chance: 93 to 97% of the intervals hold it.

    As if votes were independent, the intervals would hold it in about 88%.
    """
    chance, covered, naive = np.random.default_rng(7), 0, 0
    for study in range(1_000):
        raters = chance.integers(2, 4, 150)
        taste = chance.beta(0.52 * 1.5, 0.48 * 1.5, 150)  # of each prompt; rho = 1 / (1 + 1.5) = 0.4
        chosen = chance.binomial(raters, taste)
        _, low, high = ratio(chosen.tolist(), raters.tolist(), seed=study, resamples=400)
        covered += low <= 0.52 <= high
        _, low, high = wilson(int(chosen.sum()), int(raters.sum()))
        naive += low <= 0.52 <= high
    assert 0.93 <= covered / 1_000 <= 0.97
    assert naive / 1_000 < 0.92


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(0, 20, 0.0, 0.1611), (10, 20, 0.2993, 0.7007), (81, 263, 0.2553, 0.3662), (20, 20, 0.8389, 1.0)],
)
def test_wilson(successes, n, low, high):  # 81 of 263 is Newcombe's (1998) example
    assert wilson(successes, n) == pytest.approx((successes / n, low, high), abs=1e-4)


@pytest.mark.parametrize("n", [1, 3, 6, 7, 100, 999])
def test_an_interval_holds_its_value(n):  # rounding must not push an end past it
    assert wilson(0, n).low == 0
    assert wilson(n, n).high == 1


def test_a_share_of_nothing_is_not_zero():
    with pytest.raises(ValueError, match="nothing"):
        wilson(0, 0)


def test_sign_flips_agree_with_all_of_them():
    differences = [2.0, 1.0, 1.0, -1.0, 0.0, 3.0, -0.5, 1.0]
    told = [d for d in differences if d]
    sums = [sum(s * d for s, d in zip(signs, told, strict=True)) for signs in product([1, -1], repeat=len(told))]
    far = abs(sum(told))
    exact = sum((abs(found) > far) + 0.5 * (abs(found) == far) for found in sums) / len(sums)
    assert sign_flip(differences, seed=1) == pytest.approx(exact, abs=0.02)
    assert sign_flip([0.0, 0.0], seed=1) == 0.5
    assert sign_flip([1.0] * 30, seed=1) == pytest.approx(0.5 / 10_001)


def test_sign_flips_find_a_null_in_5_percent_of_studies():
    chance = np.random.default_rng(3)
    found = [sign_flip(chance.choice([-1.0, 1.0, 2.0, -2.0], 40).tolist(), n, flips=400) < 0.05 for n in range(600)]
    assert 0.03 < np.mean(found) < 0.07


def test_holm_as_statsmodels_has_it():
    p_values = [0.04, 0.001, 0.03, 0.2, 0.03]
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())
    assert holm([]) == []
