"""Position and length bias, and the agreement of two judges."""

import math

import pytest

from eval.judge.bias import agreement, attribute_wins, averaged, echo_share, first_wins, longer_wins


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


PROMPT = [{"role": "system", "content": "x"}, {"role": "user", "content": "Where's the gun, Frank?"}]


@pytest.mark.parametrize(
    ("reply", "share"), [("The gun?", 1.0), ("The old gun.", 2 / 3), ("Nowhere.", 0.0), ("...", 0.0), ("", 0.0)]
)
def test_echo_is_the_share_of_words_that_repeat_the_line(reply, share):
    assert echo_share(PROMPT, reply) == pytest.approx(share)


def test_attribute_wins_weigh_both_truths_alike():
    better, worse = [3, 3, 3, 1, 2, 9], [1, 1, 1, 3, 2, 1]
    found = attribute_wins(better, worse, [0.9, 0.9, 0.1, 0.2, 0.9, math.nan])
    assert found.places == [0, 1, 2, 3]  # alike in it, and unscored: left out
    assert found.wins == [1.0, 1.0, 0.0, 1.0]
    mean = sum(w * x for w, x in zip(found.weights, found.wins, strict=True)) / sum(found.weights)
    assert mean == pytest.approx((2 / 3 + 1) / 2)
    assert attribute_wins([3], [1], [0.9]).wins == []  # only one truth: nothing to balance
    assert attribute_wins([3, 1], [1, 3], [0.5, 0.5]).wins == [0.5, 0.5]
