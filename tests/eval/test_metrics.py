"""Every formula against values found by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval import metrics
from eval.intervals import Z, wilson


def test_perplexity_is_over_tokens_not_over_replies():
    scores = [[math.log(0.5)] * 3, [math.log(0.25)]]  # 3 ln 2 + 2 ln 2 over 4 tokens
    assert metrics.perplexity(scores).value == pytest.approx(2**1.25)
    assert metrics.perplexity(scores).value != pytest.approx((2 + 4) / 2)


def test_nats_per_byte_counts_utf8_bytes():
    scores = [[math.log(0.5), math.log(0.5)], [math.log(0.5)]]
    assert metrics.nats_per_byte(scores, ["abc", "caf\u00e9"]).value == pytest.approx(3 * math.log(2) / 8)


def test_a_hit_is_strict():
    assert metrics.hit([-1.0, -1.1, -5.0])
    assert not metrics.hit([-1.0, -1.0, -5.0])  # a tie counts against the model
    assert not metrics.hit([-1.0, -0.9])
    assert not metrics.hit([math.nan, -1.0])


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("wxyz")), min_size=2, max_size=30),
    st.integers(0, 9),
)
def test_distractors_are_others_and_as_many_for_everybody(said, seed):
    replies, groups = [reply for reply, _ in said], [group for _, group in said]
    drawn = metrics.distractors(replies, groups, 3, seed)
    own = {group: {reply for reply, its in said if its == group} for group in groups}
    assert {len(others) for others in drawn} == {min([3, *(len(set(replies) - own[group]) for group in groups)])}
    for group, others in zip(groups, drawn, strict=True):
        assert len(set(others)) == len(others)
        assert not set(others) & own[group]
    assert drawn == metrics.distractors(replies, groups, 3, seed)


def test_distractors_come_evenly_from_all_others():
    replies, groups = [f"r{i}" for i in range(40)], [str(i // 2) for i in range(40)]
    drawn = [metrics.distractors(replies, groups, 19, seed)[0] for seed in range(400)]
    share = {reply: sum(reply in others for others in drawn) / 400 for reply in replies}
    assert share["r0"] == share["r1"] == 0
    assert all(abs(share[reply] - 19 / 38) < 0.12 for reply in replies[2:])  # 4.8 standard errors


def test_words():
    assert metrics.words("Don't! I\u2019m OK...") == ["don't", "!", "i\u2019m", "ok", ".", ".", "."]


def test_distinct_by_hand():
    texts = ["the cat", "The dog ran", ""]
    assert metrics.distinct(texts, 1).value == 4 / 5
    assert metrics.distinct(texts, 2).value == 3 / 3
    assert metrics.distinct(["no no no"], 1).value == 1 / 3
    assert metrics.distinct(["", "a"], 2) == (0, 0, 0)


def test_the_jackknife_of_distinct_by_hand():
    # left out in turn: "a b" leaves {a} of 1 token; "a" leaves {a, b} of 2; both 1. Then "a" beside "a": 1 of 1 always
    assert metrics.distinct(["a b", "a"], 1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    # "a" leaves {b} of 2: 1/2; each "b" leaves {a, b} of 2: 1. Mean 5/6, squares 1/9 + 2/36 = 1/6, error sqrt(2/3 / 6)
    estimate = metrics.distinct(["a", "b", "b"], 1)
    assert estimate.high == 1.0
    assert estimate.low == pytest.approx(2 / 3 - Z / 3)


def test_length_quantiles():
    assert metrics.length_quantiles([" ".join("w" * n) for n in range(11)]) == (1, 5, 9)


def test_preference_counts_ties_as_half():
    found = metrics.preference([0.9, 0.51, 0.2, 0.5, 0.99], [False, False, False, False, True])
    assert found.rate.value == pytest.approx((1 + 1 + 0 + 0.5 + 0.5) / 5)
    assert found.ties == 2 / 5


def test_ties_neither_hide_nor_feign_a_preference():
    decided, _ = metrics.preference([0.9] * 37 + [0.1] * 21, [False] * 58)
    assert decided == wilson(37, 58)
    rate, ties = metrics.preference([0.9] * 37 + [0.1] * 21 + [0.7] * 42, [False] * 58 + [True] * 42)
    assert (rate.value, ties) == (pytest.approx(0.58), 0.42)
    assert (rate.low - 0.5) == pytest.approx(0.58 * (decided.low - 0.5))
    assert metrics.preference([0.5, 0.9], [False, True]) == ((0.5, 0.5, 0.5), 1.0)
