"""Questions of G-Eval: what is asked, on which scale, and by which reading."""

import math

import pytest

from eval.geval.ask import GevalItem, Question, has_one_token_labels, score_items, score_request, score_row
from eval.geval.criteria import CRITERIA, Criterion, Scale
from eval.judge.capabilities import Capabilities
from eval.judge.client import Client
from eval.judge.messages import Answer

FULL = Capabilities(20, True, True, True)
PROMPT = [{"role": "system", "content": "x"}, {"role": "user", "content": "Who is it?"}]
ITEM = GevalItem(0, "m0", "dpo", PROMPT, "Me.")
FLUENCY = Question(CRITERIA["fluency"], ["Read it.", "Give the score."], True)
FIT = Criterion("fit", "It fits.", Scale(0, 1))
TEN = Criterion("wit", "It is witty.", Scale(1, 10))


def test_the_question_ends_at_the_score_and_an_empty_reply_is_said_to_be_one():
    asked = score_request(ITEM, FLUENCY, FULL)
    text = asked.messages[0][1]
    assert text.endswith("Fluency, from 1 (worst) to 5 (best), as one digit and nothing else.\nScore:")
    assert "1. Read it.\n2. Give the score.\n" in text
    assert "\n- Who is it?\n" in text
    assert "\nReply: Me.\n" in text
    assert (asked.max_tokens, asked.logprobs, asked.n) == (1, 20, 1)
    assert "Reply: (says nothing)" in score_request(ITEM._replace(reply=" \n"), FLUENCY, FULL).messages[0][1]
    sampled = score_request(ITEM, FLUENCY._replace(by_token=False), FULL)
    assert (sampled.max_tokens, sampled.logprobs, sampled.n, sampled.temperature) == (5, 0, 20, 1.0)


@pytest.mark.parametrize(
    ("criterion", "says"),
    [
        (FIT, "Fit, from 0 (worst) to 1 (best), as one digit and nothing else."),
        (TEN, "Wit, from 1 (worst) to 10 (best), as one whole number and nothing else."),
    ],
)
def test_the_question_follows_the_scale(criterion, says):
    assert says in score_request(ITEM, Question(criterion, ["x"], True), FULL).messages[0][1]


def test_a_criterion_of_0_to_1_reads_what_the_distribution_says():
    answer = Answer(("1",), (("1", math.log(0.5)), (" 1", math.log(0.07)), ("0", math.log(0.43))))
    row = score_row(ITEM, Question(FIT, ["x"], True), [answer], 0.5)
    assert row["score"] == pytest.approx(0.57)
    assert row["movie_id"] == "m0"


@pytest.mark.parametrize(
    ("digits", "alternatives", "by_token"), [(False, 20, True), (True, 20, False), (False, 0, False)]
)
def test_ten_is_read_from_one_token_only_where_it_is_one(served, tmp_path, digits, alternatives, by_token):
    stub, settings = served(opinion=lambda text: 0.9, digits=digits, alternatives=alternatives)
    capabilities = Capabilities(alternatives, True, True, True)
    with Client(settings, tmp_path / "judge.sqlite", progress=False) as client:
        found = has_one_token_labels(client, TEN.scale, capabilities)
        assert found == by_token
        asked = stub.calls
        assert has_one_token_labels(client, FIT.scale, capabilities) == (alternatives > 0)
        assert stub.calls == asked  # one digit is one token everywhere: nothing is asked
        (row,), _ = score_items(client, [ITEM], [Question(TEN, ["x"], found)], capabilities)
    assert row["score"] == pytest.approx(8.9, abs=1.2)
    assert len(row["samples"]) == (0 if by_token else 20)


def test_where_a_call_gives_one_sample_twenty_are_made(served, tmp_path):
    stub, settings = served(opinion=lambda text: 0.5, alternatives=0, ignores=("n",))
    capabilities = Capabilities(0, True, False, True)
    with Client(settings, tmp_path / "judge.sqlite", progress=False) as client:
        (row,), cost = score_items(client, [ITEM], [FLUENCY._replace(by_token=False)], capabilities)
    assert (stub.calls, len(row["samples"])) == (20, 20)
    assert cost.startswith("20 calls, ")
