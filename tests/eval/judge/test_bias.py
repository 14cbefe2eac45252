"""Position and length bias, and the agreement of two judges."""

import math

import pytest

from eval.judge.bias import agreement, averaged, first_wins, longer_wins


def test_biases_leave_ties_and_silence_out():
    orders = [(0.9, 0.8), (0.5, 0.5), (math.nan, 0.3)]
    assert first_wins(orders).value == pytest.approx(2 / 3)
    assert first_wins([(0.5, 0.5)]) is None
    assert longer_wins([("aa", "b"), ("a", "bb"), ("a", "b"), ("aa", "b")], [0.9, 0.8, 0.9, 0.5]).value == 0.5
    assert longer_wins([("a", "b")], [0.9]) is None
    assert averaged([(0.9, 0.3)]) == [pytest.approx(0.8)]


def test_two_judges_agree_beyond_chance_or_not():
    found = agreement([0.9, 0.8, 0.1, 0.5, math.nan], [0.7, 0.2, 0.3, 0.9, 0.9])
    assert found == {"pairs": 3, "raw": pytest.approx(2 / 3), "kappa": pytest.approx(0.4)}
    assert agreement([0.5], [0.9])["pairs"] == 0
