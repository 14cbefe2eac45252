"""Label distributions are read exactly from top log-probabilities."""

import math
import random

import pytest

from eval.judge.messages import distribution


@pytest.mark.parametrize(
    ("alternatives", "labels", "expected", "mass"),
    [
        ([("A", 0.6), ("B", 0.2)], "AB", {"A": 0.75, "B": 0.25}, 0.8),
        ([("A", 0.3), (" A", 0.3), ("A\n", 0.1), ("B", 0.1)], "AB", {"A": 0.875, "B": 0.125}, 0.8),
        ([("A", 0.9)], "AB", {"A": 1.0, "B": 0.0}, 0.9),
        ([("a", 0.5), ("The", 0.4), ("AB", 0.1)], "AB", None, None),
        ([], "AB", None, None),
        (
            [("4", 0.5), (" 4", 0.1), ("5", 0.2), ("10", 0.1), ("1", 0.05)],
            "12345",
            {"4": 0.6 / 0.85, "5": 0.2 / 0.85, "1": 0.05 / 0.85, "2": 0, "3": 0},
            0.85,
        ),
    ],
)
def test_probabilities_are_read_exactly(alternatives, labels, expected, mass):
    found = distribution([(token, math.log(p)) for token, p in alternatives], labels)
    if expected is None:
        assert found is None
    else:
        assert found.probabilities == pytest.approx(expected, abs=1e-9)
        assert found.mass == pytest.approx(mass, abs=1e-9)


def test_the_weighted_mean_of_sampled_scores_is_their_mean():
    chance = random.Random(5)
    scores = [chance.randint(1, 5) for _ in range(20)]
    found = distribution([(str(score), math.log(1 / 20)) for score in scores], "12345")
    assert found.mean() == pytest.approx(sum(scores) / 20, abs=1e-12)
