"""Scores out of probabilities and out of answers."""

import json
import math
import random
from pathlib import Path

import pytest
from openai.types.chat import ChatCompletion

from eval.geval.criteria import Scale
from eval.geval.scoring import GevalScore, ScoreReading, mean_of_samples, parse_score, read_answer, weighted_mean
from eval.judge.messages import Answer, Request
from eval.judge.protocol import parse_response
from eval.judge.settings import JudgeSettings

PAYLOADS = [json.loads(line) for line in Path(__file__).with_name("payloads.jsonl").read_text("utf-8").splitlines()]
"""Answers in the whole form of the protocol, one a line, with the score that each is: written by hand after OpenAI's
documentation, for no endpoint could be asked from here."""


def test_sampled_scores_as_probabilities_give_the_sample_mean():
    chance = random.Random(3)
    for _ in range(20):
        scores = [chance.randint(1, 5) for _ in range(20)]
        found = weighted_mean([(str(score), math.log(1 / 20)) for score in scores])
        assert found.value == pytest.approx(sum(scores) / 20, abs=1e-12)
        assert found.mass == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("alternatives", "value", "mass"),
    [
        ([("4", -0.1), (" 4", -3.0), ("5", -2.5), ("3", -6.0)], None, None),
        ([("10", -0.2), ("1", -2.0)], 1.0, math.exp(-2.0)),
        ([("5/5", -0.1), ("5", -3.0), ("2", -3.0)], 3.5, 2 * math.exp(-3.0)),
        ([("0", -0.1), ("6", -2.0)], "none", None),
    ],
)
def test_payloads_of_real_shape(alternatives, value, mass):
    found = weighted_mean(alternatives)
    if value == "none":
        assert found is None
        return
    p = {label: sum(math.exp(v) for t, v in alternatives if t.strip() == label) for label in "12345"}
    expected = sum(int(label) * part for label, part in p.items()) / sum(p.values())
    assert found.value == pytest.approx(expected, abs=1e-12)
    if value is not None:
        assert found == GevalScore(pytest.approx(value), pytest.approx(mass))


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload["what"])
def test_whole_payloads(payload):
    response = ChatCompletion.model_validate(payload["response"])
    answer = parse_response(response, Request((), 1), JudgeSettings(model="m"))
    found = weighted_mean(answer.first) if payload["mode"] == "log-probabilities" else mean_of_samples(answer.texts)
    assert (found and found.value) == pytest.approx(payload["score"], abs=1e-6)
    assert (found.mass if found else 0.0) == pytest.approx(payload["mass"], abs=1e-6)
    assert answer.refused == payload.get("refused", False)
    assert answer.prompt_tokens == 212


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("4", 4), (" 4", 4), ("4.", 4), ("4\n", 4), ("Score: 4", 4), ("Score:4", 4), ("score = 2", 2), ("**3**", 3),
        ("5/5", 5), ("5 / 5", 5), ("4 out of 5", 4), ("4 OUT OF 5", 4), ("I would say 3.", 3), ("Rating: 1", 1),
        ("(2)", 2), ("'5'", 5), ("4.0", 4), ("4.0/5", 4), ("Coherence: 4", 4),
        ("My answer is 2, because it is flat.", 2),
        ("3!", 3), ("-> 5", 5), ("1", 1), ("<score>4</score>", 4), ("4 - good", 4), ("3\n3", 3),
        ("", None), ("10", None), ("0", None), ("6", None), ("3.5", None), ("3,5", None), ("3-4", None),
        ("As an AI.", None), ("3 or 4", None), ("between 2 and 4", None), ("four", None),
        ("1/10", None), ("7/10", None), ("4 of 10", None),
        ("12345", None), ("v4", None), ("4th", None), ("Score: 4, not 5", None),
    ],
)  # fmt: skip
def test_answers_are_parsed_or_unscored(text, score):
    assert parse_score(text) == score


def test_samples_are_averaged_and_what_cannot_be_read_is_left_out():
    assert mean_of_samples(["4", "5", "no", "3"]) == GevalScore(4.0, 0.75)
    assert mean_of_samples(["no"]) is None
    assert mean_of_samples([]) is None


@pytest.mark.parametrize(
    ("text", "scale", "score"),
    [
        ("1", (0, 1), 1), ("0", (0, 1), 0), ("1/1", (0, 1), 1), ("1.0", (0, 1), 1), ("0.57", (0, 1), None),
        ("5", (0, 1), None), ("1/5", (0, 1), None),
        ("10", (1, 10), 10), ("10/10", (1, 10), 10), ("7 out of 10", (1, 10), 7), ("1/10", (1, 10), 1),
        ("0", (1, 10), None), ("7/5", (1, 10), None), ("100", (1, 10), None), ("11", (1, 10), None),
        ("7.5", (1, 10), None),
        ("87", (0, 100), 87), ("100", (0, 100), 100), ("101", (0, 100), None),
    ],
)  # fmt: skip
def test_answers_are_parsed_on_any_scale(text, scale, score):
    assert parse_score(text, Scale(*scale)) == score


@pytest.mark.parametrize(
    ("answer", "by_token", "reading"),
    [
        (Answer(("4",), (("4", math.log(0.6)), ("The", math.log(0.4)))), True, ScoreReading(4.0, 0.6, False)),
        (Answer(("The",), (("The", math.log(0.6)), ("4", math.log(0.4)))), True, ScoreReading(None, 0.4, False)),
        (Answer(("I",), (("I", math.log(0.9)), ("1", math.log(0.01)))), True, ScoreReading(None, 0.01, True)),
        (Answer((" Sorry",), ((" Sorry", math.log(0.9)),)), True, ScoreReading(None, 0.0, True)),
        (Answer(("In",), (("In", math.log(0.9)),)), True, ScoreReading(None, 0.0, False)),
        (Answer(("",), refused=True), True, ScoreReading(None, 0.0, True)),
        (Answer(("4", "4", "No.", "I can't.")), False, ScoreReading(4.0, 0.5, False)),
        (Answer(("4", "I'm sorry", "As an AI", "No.")), False, ScoreReading(None, 0.25, True)),
        (Answer(("4", "Good", "Fine", "No.")), False, ScoreReading(None, 0.25, False)),
    ],
)
def test_below_the_mass_floor_there_is_no_score_and_a_refusal_is_told_apart(answer, by_token, reading):
    found = read_answer(answer, Scale(), by_token)
    assert found == ScoreReading(reading.score, pytest.approx(reading.mass), reading.refused)


def test_the_mass_floor_is_a_setting():
    answer = Answer(("I",), (("I", math.log(0.9)), ("2", math.log(0.01))))
    assert read_answer(answer, Scale(), True, floor=0.0).score == pytest.approx(2.0)
