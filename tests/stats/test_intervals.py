"""Intervals and tests: against hand-made values, other libraries, and the truth of simulated studies."""

import pytest
from statsmodels.stats.multitest import multipletests

from stats.intervals import holm_correction, wilson_interval


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


def test_holm_as_statsmodels_has_it():
    p_values = [0.04, 0.001, 0.03, 0.2, 0.03]
    assert holm_correction(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())
    assert holm_correction([]) == []
    assert holm_correction([None, 0.04, None, 0.01]) == [None, 0.04, None, 0.02]  # what has no p is no comparison
