"""Clustered means: by hand, against other libraries, and coverage and type I error of simulated studies."""

import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import binom
from statsmodels.stats.contingency_tables import mcnemar

from stats.clustered import (
    MIN_CLUSTERS,
    Z,
    clustered_mean,
    clustered_share,
    paired_difference,
    subsets,
    too_few,
    wilson_ends,
)
from tests.support.proof import repetitions


def flips_by_hand(sums, sizes, null):
    """Every flip of every film's sum; those as far out as the seen one count half, it and its mirror image whole."""
    above = [value - null * size for value, size in zip(sums, sizes, strict=True)]
    seen = abs(sum(above))
    far = [abs(sum(s * a for s, a in zip(signs, above, strict=True))) - seen for signs in product([1, -1], repeat=6)]
    return min(1.0, (sum(f > 1e-9 for f in far) + sum(abs(f) <= 1e-9 for f in far) / 2 + 1) / 2**6)


def test_the_p_value_is_that_of_all_flips():
    sums, sizes = [2.0, 1.0, 4.0, -1.0, 3.0, 0.0], [1, 2, 3, 1, 2, 2]
    for null in (0.0, 0.25, 1.0, 2.3, -0.5):
        found = clustered_mean(sums, range(6), sizes, null=null)
        assert found.value == pytest.approx(sum(sums) / sum(sizes))
        assert found.p_value == pytest.approx(flips_by_hand(sums, sizes, null))
        assert (found.low <= null <= found.high) == (found.p_value > 0.05)


def test_the_interval_of_six_films_runs_from_the_lowest_to_the_highest():
    found = clustered_mean([1.0, 2.0, 4.0, 8.0, 16.0, 32.0], "abcdef", null=0.0)
    assert found == (10.5, pytest.approx(1.0), pytest.approx(32.0), 2 / 64, 6)
    assert clustered_mean([1.0] * 6, range(6)) == (1.0, 1.0, 1.0, None, 6)  # no null, no test
    doubled = clustered_mean([1.0, 2.0, 4.0, 8.0, 16.0, 32.0], "abcdef", null=0.0, of=lambda mean: 2 * mean)
    assert doubled[:3] == pytest.approx((21.0, 2.0, 64.0))


@pytest.mark.parametrize("count", [1, 2, 4, MIN_CLUSTERS - 1])
def test_few_films_give_neither_interval_nor_p(count):
    found = paired_difference([5.0] * 20, [1.0] * 20, [n % count for n in range(20)])
    assert found == (4.0, None, None, None, count)
    assert too_few(count) == ("1 film: too few" if count == 1 else f"{count} films: too few")


def test_the_mean_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="nothing"):
        clustered_mean([], [])
    assert clustered_mean([0.0, 3.0], ["a", "b"], [0.0, 2.0]).clusters == 1  # a film without weight tells nothing


def test_weights_make_a_ratio_of_sums():
    assert paired_difference([10.0, 6.0], [8.0, 5.0], ["a", "b"], [10.0, 20.0]).value == pytest.approx(3 / 30)


def test_with_one_prompt_a_film_the_paired_test_is_mcnemars():
    """Mid-p: the exact p-value of statsmodels less the probability of exactly what was seen."""
    chance = np.random.default_rng(5)
    first, second = (chance.random(300) < share for share in (0.22, 0.15))
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    exact = mcnemar([[0, only_first], [only_second, 0]], exact=True).pvalue
    mid = exact - binom.pmf(min(only_first, only_second), only_first + only_second, 0.5)
    found = paired_difference(first.astype(float).tolist(), second.astype(float).tolist(), range(300))
    assert found.p_value == pytest.approx(mid, abs=0.01)


def test_the_interval_of_many_films_is_students():
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    found, error = clustered_mean(values.tolist(), range(400)), values.std() / math.sqrt(400)
    assert found.low == pytest.approx(values.mean() - 1.966 * error, abs=0.1 * error)
    assert found.high == pytest.approx(values.mean() + 1.966 * error, abs=0.1 * error)


def test_what_a_film_shares_is_no_evidence_twice():
    chance = np.random.default_rng(6)
    first, second, films = chance.random(40), chance.random(40) + 0.1, [f"m{n}" for n in range(40)]
    once = paired_difference(first, second, films)
    again = paired_difference(np.repeat(first, 10), np.repeat(second, 10), np.repeat(films, 10))
    assert again == pytest.approx(once)
    apart = paired_difference(np.repeat(first, 10), np.repeat(second, 10), range(400))
    assert apart.high - apart.low < 0.5 * (once.high - once.low)


def draw_films(chance, kind, shape):
    """Sums and sizes of studies' films, which differ in size and each have a taste of their own; and the true mean."""
    sizes = chance.integers(1, 21, shape)
    if kind == "normal":
        return chance.normal(0.3, 0.5, shape) * sizes + chance.normal(0, 1, shape) * np.sqrt(sizes), sizes, 0.3
    if kind == "wins":  # 1 for a win, 0 for a loss
        return chance.binomial(sizes, chance.beta(5, 5, shape)).astype(float), sizes, 0.5
    return chance.gamma(4, 0.25, shape) * sizes + chance.gamma(sizes * 1.0, 1.0), sizes, 2.0  # skewed: 1 to 2


@pytest.mark.parametrize("kind", ["normal", "wins", "skewed"])
@pytest.mark.parametrize(("films", "studies"), [(6, 4_000), (10, 4_000), (30, 1_000), (120, 500)])
def test_intervals_cover_and_tests_err_as_often_as_they_say(kind, films, studies):
    """93 to 97%, give or take what so many studies leave to chance; counted apart, and as the function has it."""
    chance, studies = np.random.default_rng(films), repetitions(4 * studies, studies)
    sums, sizes, true = draw_films(chance, kind, (studies, films))
    kept = 0
    for part in np.array_split(np.arange(studies), 10):  # for memory
        above = (sums[part] - true * sizes[part]).T
        flipped = subsets(films) @ above
        flipped = np.concatenate([flipped, above.sum(axis=0) - flipped])[1 if films <= 16 else 0 :]  # not the empty one
        low, high = (flipped < -1e-9).sum(axis=0), (flipped > 1e-9).sum(axis=0)
        p_values = 2 * (np.minimum(low, high) + (len(flipped) - low - high) / 2 + 1) / (len(flipped) + 1)
        kept += int((p_values > 0.05).sum())
        for study, p in zip(part[:3], p_values, strict=False):
            found = clustered_mean(sums[study], [f"{n:03}" for n in range(films)], sizes[study], null=true)
            assert found.p_value == pytest.approx(min(1.0, p))
            assert (found.low <= true <= found.high) == (p > 0.05)
    assert kept / studies + chance_error(studies) >= 0.93
    assert kept / studies - chance_error(studies) <= 0.97


def chance_error(studies):
    """Standard error of a share of 5% among so many studies."""
    return math.sqrt(0.05 * 0.95 / studies)


@pytest.mark.parametrize("share", [0.5, 0.98])
def test_shares_cover_where_the_inverted_test_does_not(share):
    """Hits and stops of films with an intraclass correlation of 0.02: at 98% of 60 prompts few counts are possible."""
    chance, inverted = np.random.default_rng(9), 0
    for films, studies in ((6, 300), (10, 300), (30, 100), (120, 50)):
        covered, studies = 0, repetitions(4 * studies, studies)
        for _ in range(studies):
            hits = chance.random((films, 10)) < chance.beta(49 * share, 49 * (1 - share), films)[:, None]
            where = np.repeat(range(films), 10)
            found = clustered_share(hits.ravel(), where)
            covered += found.low <= share <= found.high
            if films == 6:
                low, high = clustered_mean(hits.ravel(), where)[1:3]
                inverted += low <= share <= high
        assert covered / studies + chance_error(studies) >= 0.93
        assert covered / studies - chance_error(studies) <= 0.98
    assert share == 0.5 or inverted / repetitions(1_200, 300) < 0.8


def test_a_share_by_hand():
    hits = [True, False, False, False] * 6  # every film alike: worth all its prompts, no more
    assert clustered_share(hits, [n // 4 for n in range(24)])[:3] == pytest.approx((0.25, 0.1200, 0.4490), abs=1e-4)
    assert clustered_share([True] * 20, [n % 6 for n in range(20)])[:3] == pytest.approx((1, 0.8389, 1), abs=1e-4)
    # 8 films of 10, all or none: variance 8 * 5^2 / (7/8) / 80^2 = 1/28 against 1/320, times (2.3646 / 1.96)^2
    alone = clustered_share([True] * 40 + [False] * 40, [n // 10 for n in range(80)])
    assert alone[1:3] == pytest.approx(wilson_ends(0.5, 80 / (320 / 28 * (2.364624 / Z) ** 2)))
    with pytest.raises(ValueError, match="nothing"):
        clustered_share([], [])
