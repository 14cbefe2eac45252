"""Self-preference: the size of a planted one, against a reference without it."""

import random

import pytest

from eval.judge.embedded import EmbeddedJudge
from eval.qualify.self_preference import self_preference
from eval.rows import film_reply
from tests.support.planted import film_rows

ROWS = film_rows(12, 20)


def judge_of(bonus):
    """Scores a reply by chance, and gives a bonus to the words of its own model."""

    def score(pairs):
        return [random.Random(reply).random() + bonus * ("own" in reply) for _, reply in pairs]

    return EmbeddedJudge("j", score)


def test_a_judge_that_likes_its_own_words_is_found():
    own = [f"own {n}" for n in range(len(ROWS))]
    rivals = {"the film's": [film_reply(row) for row in ROWS], "base's": [f"base {n}" for n in range(len(ROWS))]}
    found = self_preference(judge_of(0.5), judge_of(0.0), ROWS, own, rivals)
    for one in found.values():
        assert one.reference.value == pytest.approx(0.5, abs=0.1)
        assert one.difference.value == pytest.approx(one.judge.value - one.reference.value)
        assert one.judge.value == pytest.approx(0.875, abs=0.06)  # P(u + .5 > v) of two uniform numbers
        assert one.difference.low > 0.2
    same = self_preference(judge_of(0.0), judge_of(0.0), ROWS, own, rivals)
    assert all(one.difference[:3] == (0, 0, 0) for one in same.values())
