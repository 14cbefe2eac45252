"""Intervals and tests: against hand-made values, other libraries, and the truth of simulated studies."""

import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import binom
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from stats.intervals import bootstrap_ratio, holm_correction, paired_difference, sign_flip_test, wilson_interval
from tests.support.proof import repetitions


def test_the_bootstrap_has_the_spread_of_a_mean():
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    estimate = bootstrap_ratio(values.tolist(), [1.0] * 400, seed=1)
    error = values.std() / math.sqrt(400)
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(values.mean() - 1.96 * error, abs=0.3 * error)
    assert estimate.high == pytest.approx(values.mean() + 1.96 * error, abs=0.3 * error)
    assert estimate == bootstrap_ratio(values.tolist(), [1.0] * 400, seed=1)
    assert estimate != bootstrap_ratio(values.tolist(), [1.0] * 400, seed=2)


def test_the_bootstrap_draws_whole_prompts():
    """Above and below stay together: where each prompt has the same ratio there is nothing to vary."""
    assert bootstrap_ratio([1, 2, 30], [2, 4, 60], seed=1) == (0.5, 0.5, 0.5)


def test_the_bootstrap_covers_the_truth():
    """1,000 studies of 150 prompts by 2 or 3 raters who agree beyond chance: 93 to 97% of the intervals hold it.

    As if votes were independent, the intervals would hold it in about 88%.
    """
    chance, covered, naive, studies = np.random.default_rng(7), 0, 0, repetitions(1_000, 300)
    for study in range(studies):
        raters = chance.integers(2, 4, 150)
        taste = chance.beta(0.52 * 1.5, 0.48 * 1.5, 150)  # of each prompt; rho = 1 / (1 + 1.5) = 0.4
        chosen = chance.binomial(raters, taste)
        _, low, high = bootstrap_ratio(chosen.tolist(), raters.tolist(), seed=study, resamples=400)
        covered += low <= 0.52 <= high
        _, low, high = wilson_interval(int(chosen.sum()), int(raters.sum()))
        naive += low <= 0.52 <= high
    assert 0.93 <= covered / studies <= 0.97
    assert naive / studies < 0.92


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(0, 20, 0.0, 0.1611), (10, 20, 0.2993, 0.7007), (81, 263, 0.2553, 0.3662), (20, 20, 0.8389, 1.0)],
)
def test_wilson(successes, n, low, high):  # 81 of 263 is Newcombe's (1998) example
    assert wilson_interval(successes, n) == pytest.approx((successes / n, low, high), abs=1e-4)


@pytest.mark.parametrize("n", [1, 3, 6, 7, 100, 999])
def test_an_interval_holds_its_value(n):  # rounding must not push an end past it
    assert wilson_interval(0, n).low == 0
    assert wilson_interval(n, n).high == 1


def test_a_share_of_nothing_is_not_zero():
    with pytest.raises(ValueError, match="nothing"):
        wilson_interval(0, 0)


def test_sign_flips_agree_with_all_of_them():
    differences = [2.0, 1.0, 1.0, -1.0, 0.0, 3.0, -0.5, 1.0]
    told = [d for d in differences if d]
    sums = [sum(s * d for s, d in zip(signs, told, strict=True)) for signs in product([1, -1], repeat=len(told))]
    far = abs(sum(told))
    exact = sum((abs(found) > far) + 0.5 * (abs(found) == far) for found in sums) / len(sums)
    assert sign_flip_test(differences, seed=1) == pytest.approx(exact, abs=0.02)
    assert sign_flip_test([0.0, 0.0], seed=1) == 0.5
    assert sign_flip_test([1.0] * 30, seed=1) == pytest.approx(0.5 / 10_001)


def test_sign_flips_find_a_null_in_5_percent_of_studies():
    chance = np.random.default_rng(3)
    found = [
        sign_flip_test(chance.choice([-1.0, 1.0, 2.0, -2.0], 40).tolist(), n, flips=400) < 0.05
        for n in range(repetitions(600, 200))
    ]
    assert 0.03 < np.mean(found) < 0.07


def test_holm_as_statsmodels_has_it():
    p_values = [0.04, 0.001, 0.03, 0.2, 0.03]
    assert holm_correction(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())
    assert holm_correction([]) == []


def test_with_one_prompt_a_group_the_paired_test_is_mcnemars():
    """Mid-p: the exact p-value of statsmodels less the probability of exactly what was seen."""
    chance = np.random.default_rng(5)
    first, second = (chance.random(300) < share for share in (0.22, 0.15))
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    exact = mcnemar([[0, only_first], [only_second, 0]], exact=True).pvalue
    mid = exact - binom.pmf(min(only_first, only_second), only_first + only_second, 0.5)
    found = paired_difference(first.astype(float), second.astype(float), range(300), seed=1)
    assert found.p_value == pytest.approx(mid, abs=0.01)
    assert found.difference.value == pytest.approx(first.mean() - second.mean())


def test_paired_differences_are_of_whole_films():
    """What a film shares is no evidence twice: ten copies of every prompt leave interval and p as they were."""
    chance = np.random.default_rng(6)
    first, second = chance.random(40), chance.random(40) + 0.1
    films = [f"m{n}" for n in range(40)]
    once = paired_difference(first, second, films, seed=2)
    again = paired_difference(np.repeat(first, 10), np.repeat(second, 10), np.repeat(films, 10), seed=2)
    assert again.difference == pytest.approx(once.difference)
    assert again.p_value == pytest.approx(once.p_value)
    apart = paired_difference(np.repeat(first, 10), np.repeat(second, 10), range(400), seed=2)
    assert apart.difference.high - apart.difference.low < 0.5 * (once.difference.high - once.difference.low)


def test_paired_weights_make_a_ratio_of_sums():
    found = paired_difference([10.0, 6.0], [8.0, 5.0], ["a", "b"], weights=[10.0, 20.0])
    assert found.difference.value == pytest.approx(3 / 30)


def test_paired_intervals_cover_the_truth_and_ignoring_films_does_not():
    """500 studies of 60 films with 3 to 6 prompts each that share a film's taste."""
    chance, covered, naive, studies = np.random.default_rng(8), 0, 0, repetitions(500, 150)
    for study in range(studies):
        sizes = chance.integers(3, 7, 60)
        films = np.repeat(np.arange(60), sizes)
        values = 0.1 + np.repeat(chance.normal(0, 0.5, 60), sizes) + chance.normal(0, 0.5, sizes.sum())
        _, low, high = paired_difference(values, np.zeros(len(values)), films, study).difference
        covered += low <= 0.1 <= high
        _, low, high = bootstrap_ratio(values.tolist(), [1.0] * len(values), study, resamples=300)
        naive += low <= 0.1 <= high
    assert 0.92 <= covered / studies <= 0.975
    assert naive / studies < 0.85
