"""The sigmoid that turns two scores into a preference."""

import math

import pytest

from eval.judge.comparison import sigmoid


def test_sigmoid():
    assert sigmoid(0) == 0.5
    assert sigmoid(math.log(3)) == pytest.approx(0.75)
    assert sigmoid(-800) == 0.0
    assert sigmoid(800) == 1.0
