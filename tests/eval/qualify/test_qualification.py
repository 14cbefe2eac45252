"""Planted faults: each is caught by the rule that is for it, with its size within 3 points."""

import json
from dataclasses import replace

import pytest

from eval.qualify.card import QualificationCard
from eval.qualify.controls import CONTROLS
from eval.qualify.measured import Measured, clustered
from eval.qualify.pairs import ControlPair, control_pairs, sampled_pairs
from eval.qualify.qualification import echo_words, measure_card, qualify
from eval.qualify.render import qualification_table
from tests.support.planted import (
    PlantedJudge,
    film_rows,
    refuses,
    takes_echo,
    takes_first,
    takes_longer,
    tosses,
)


@pytest.fixture(scope="module")
def rows():
    return film_rows()


@pytest.fixture(scope="module")
def pairs(rows):
    return control_pairs(rows, rows, seed=1)


def card_of(rows, pairs, fault, share, paired=True):
    return qualify(PlantedJudge(rows, fault, share, paired), pairs, "planted")


def test_a_perfect_judge_qualifies(rows, pairs):
    card = card_of(rows, pairs, takes_first, 0.0)
    assert card.qualified
    assert card.verdict == "QUALIFIED"
    assert {found.value for found in card.controls.values()} == {1.0}
    assert card.biases["position"].value == 0.5
    assert [card.biases[name].value for name in ("length", "echo")] == pytest.approx([0.5, 0.5])
    assert card.unscored.value == 0.0
    assert card.films == 30
    assert card.controls["shuffled"].n == 600


def test_a_coin_does_not(rows, pairs):
    card = card_of(rows, pairs, tosses, 1.0)
    assert not card.qualified
    assert card.failures[0].startswith("film over shuffled: ")
    assert card.controls["shuffled"].value == pytest.approx(0.5, abs=0.06)
    assert [card.biases[name].value for name in ("length", "echo")] == pytest.approx([0.5, 0.5], abs=0.03)


def test_a_position_bias_of_70_percent_is_caught(rows, pairs):
    """It takes the first in 40% of its judgements and else knows the truth: the first wins .4 + .6 / 2 of them."""
    card = card_of(rows, pairs, takes_first, 0.4, paired=False)
    assert card.biases["position"].value == pytest.approx(0.7, abs=0.03)
    assert [failure.split(":")[0] for failure in card.failures] == ["position"]
    assert not card_of(rows, pairs, takes_first, 0.24, paired=False).qualified
    assert card_of(rows, pairs, takes_first, 0.14, paired=False).qualified


@pytest.mark.parametrize("share", [0.6, 1.0])
def test_one_that_prefers_the_longer_is_caught(rows, pairs, share):
    card = card_of(rows, pairs, takes_longer, share)
    assert card.biases["length"].value == pytest.approx((1 + share) / 2, abs=0.03)
    assert card.controls["over-long"].value == pytest.approx(1 - share, abs=0.07)  # 3.5 standard errors
    assert card.controls["repeated"].value == pytest.approx(1 - share, abs=0.07)
    assert {"film over repeated", "film over over-long"} <= {failure.split(":")[0] for failure in card.failures}
    assert abs(card.biases["position"].value - 0.5) < 0.01


@pytest.mark.parametrize("share", [0.6, 1.0])
def test_one_that_prefers_echo_is_caught(rows, pairs, share):
    card = card_of(rows, pairs, takes_echo, share)
    assert card.biases["echo"].value == pytest.approx((1 + share) / 2, abs=0.03)
    assert card.controls["echoing"].value == pytest.approx(1 - share, abs=0.07)
    assert "film over echoing" in {failure.split(":")[0] for failure in card.failures}
    honest = card_of(rows, pairs, takes_echo, 0.0)
    gap, true_gap = (one.echo["chosen"] - one.echo["rejected"] for one in (card, honest))
    assert gap > true_gap + 0.02


def test_one_that_refuses_15_percent_is_caught_and_refusals_are_no_scores(rows, pairs):
    card = card_of(rows, pairs, refuses, 0.15)
    assert card.unscored.value == pytest.approx(0.15, abs=0.03)
    assert [failure.split(":")[0] for failure in card.failures] == ["unscored"]
    assert {found.value for found in card.controls.values()} == {1.0}
    assert card.controls["shuffled"].n < 600 * 0.9


def test_few_films_give_no_verdict_and_no_interval(rows):
    few = [row for row in rows if row["movie_id"] in ("m0", "m1")]
    card = card_of(rows, control_pairs(few, few, 1), takes_first, 0.0)
    assert card.failures == ["2 films: too few for a verdict, it takes 6"]
    assert "2 films: too few for an interval" in qualification_table(card)
    assert card.controls["shuffled"][1:3] == (None, None)


def test_a_lucky_draw_that_chance_explains_does_not_qualify(rows, pairs):
    card = card_of(rows, pairs, takes_first, 0.0)
    lucky = replace(card, controls={**card.controls, "shuffled": Measured(0.66, 0.45, 0.85, 12, 6)})
    assert [failure.split(",")[-1] for failure in lucky.failures] == [" not told from chance"]


def test_a_control_without_a_scored_pair_fails(rows, pairs):
    some = [pair for pair in pairs if pair.control != "truncated"]
    card = card_of(rows, some, takes_first, 0.0)
    assert card.failures == ["film over truncated: not measured, the floor is 50%"]


def test_a_card_comes_back_from_json_and_renders(rows, pairs):
    own = ["Sample."] * 38 + [" ", rows[39]["completion"][0]["content"]]
    sampled = sampled_pairs(rows[:40], {"sft": own, "base": ["A base talks on. And on. " * 9] * 40})
    longest = max(len(pair.worse.split()) - max(4, len(pair.better.split())) for pair in sampled)
    assert longest <= 0
    card = replace(card_of(rows, [*pairs, *sampled], takes_longer, 0.6), cost="1 call")
    again = QualificationCard.from_json(json.loads(card.save_text()))
    assert again == card
    assert json.loads(card.save_text())["qualified"] is False
    text = qualification_table(card)
    assert "| shuffled | " in text
    assert "| SFT sample | " in text
    assert (card.controls["SFT sample"].n, card.controls["base sample"].n) == (38, 40)
    assert f"**{card.verdict}**" in text
    assert all(f"| {name} | " in text for name in CONTROLS)


def test_the_interval_has_films_as_its_units():
    same = clustered([1.0] * 50 + [0.0] * 50, [f"m{index // 10}" for index in range(100)])
    apart = clustered([1.0] * 50 + [0.0] * 50, [f"m{index}" for index in range(100)])
    assert same.high - same.low > 2 * (apart.high - apart.low)
    assert clustered([1.0, 0.0], ["a", "b"], [3.0, 1.0]).value == 0.75
    assert clustered([], []).value is None


def test_ties_and_unscored_pairs():
    prompt = [{"role": "user", "content": "one two"}]
    pairs = [ControlPair("shuffled", "m", prompt, "one three", "four")] * 3
    card = measure_card("j", pairs, [(0.5, 0.5), (1.0, 0.0), (float("nan"), 1.0)], "d")
    assert card.controls["shuffled"].value == 0.75
    assert card.controls["shuffled"].n == 2
    assert card.unscored.value == pytest.approx(1 / 6)
    assert echo_words(pairs, [1.0, 0.0, 0.5]) == {"chosen": 0.25, "rejected": 0.25}
