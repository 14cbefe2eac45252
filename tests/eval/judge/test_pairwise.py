"""LLM judges: what is asked, what is read, and that both orders together see through a bias for the first."""

import math

import numpy as np
import pytest

from eval.judge.bias import averaged, first_wins
from eval.judge.client import Client
from eval.judge.messages import Answer
from eval.judge.pairwise import LLMJudge, quoted_turns
from tests.support.proof import repetitions

PROMPT = [
    {"role": "system", "content": "Answer."},
    {"role": "user", "content": "Who\nis it?"},
    {"role": "assistant", "content": "Me."},
    {"role": "user", "content": "You?"},
]


def items(count):
    return [([{"role": "user", "content": f"Line {n}?"}], f"first {n}", f"second {n}") for n in range(count)]


@pytest.fixture
def judge(served, tmp_path):
    opened = []

    def make(**options):
        stub, settings = served(**options)
        client = Client(settings, tmp_path / f"{len(opened)}.sqlite", progress=False)
        opened.append(client)
        return stub, LLMJudge(client)

    yield make
    for client in opened:
        client.close()


def test_what_is_asked(judge):
    _, llm = judge()
    request = llm.request(PROMPT, "No.\nNever.", "Yes.")
    assert "- Who is it?\n- Me.\n- You?\n" in request.messages[1][1]
    assert "\nReply A: No. Never.\nReply B: Yes.\n" in request.messages[1][1]
    assert (request.max_tokens, request.logprobs, request.temperature) == (1, 20, 0.0)
    assert quoted_turns(PROMPT[:2]) == "- Who is it?"


def test_probabilities_are_the_stubs_own(judge):
    stub, llm = judge()
    asked = items(20)
    found = llm.compare(asked)
    expected = [stub.labels(f"Reply A: {first}\nReply B: {second}")["A"] for _, first, second in asked]
    assert found == pytest.approx(expected, abs=1e-9)
    assert llm.unscored == 0
    assert llm.summary.startswith("log-probabilities of 20 alternatives")


def test_letters_in_the_tail_of_a_refusal_are_no_preference(judge):
    _, llm = judge()
    tail = (("I", math.log(0.97)), ("A", math.log(0.02)), ("B", math.log(0.01)))
    clear = (("A", math.log(0.6)), ("I", math.log(0.4)))
    assert math.isnan(llm.parse(Answer(("I",), tail)))
    assert llm.parse(Answer(("A",), clear)) == 1.0
    assert (llm.unscored, llm.low_mass) == (1, 1)


def test_without_log_probabilities_the_letter_counts(judge):
    stub, llm = judge(alternatives=0)
    assert set(llm.compare(items(10))) <= {0.0, 1.0}
    stub.prose = lambda *arguments: "Neither"
    stub.labels = lambda prompt: {}
    assert all(math.isnan(p) for p in llm.compare([(p, f"other {f}", s) for p, f, s in items(3)]))
    assert llm.unscored == 3


def test_both_orders_recover_the_truth_and_the_bias_is_told(judge):
    """A judge that takes the first of two equal replies in 70%: its average is right, and the report says 70% of it."""
    truth = {}

    def opinion(text):
        return truth.setdefault(text, np.random.default_rng(len(truth)).normal(0.5, 0.08))

    _, llm = judge(bias=0.7, opinion=opinion, sharpness=8.0)
    asked = items(repetitions(1_000, 300))
    ahead = llm.compare(asked)
    swapped = llm.compare([(prompt, second, first) for prompt, first, second in asked])
    orders = list(zip(ahead, swapped, strict=True))
    better = [truth[first] > truth[second] for _, first, second in asked]
    assert np.mean([(p > 0.5) == right for p, right in zip(averaged(orders), better, strict=True)]) > 0.999
    alone = np.mean([(p > 0.5) == right for p, right in zip(ahead, better, strict=True)])
    assert alone < 0.9
    share = first_wins(orders)
    assert share.low < np.mean([p > 0.5 for pair in orders for p in pair]) < share.high
    equal = [((prompt, "the same", "the same")) for prompt, _, _ in asked]
    assert np.mean(llm.compare(equal)) == pytest.approx(0.70, abs=0.02)
