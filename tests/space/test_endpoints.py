"""What programs may call, with an engine that reads from a script."""

from __future__ import annotations

import inspect

import gradio as gr
import pytest

from chat.generate import Partial
from space.endpoints import Endpoints
from tests.support.script_engine import Script


def test_a_comparison_is_one_batch_of_three_in_the_order_of_the_variants():
    engine = Script(base="a b c", sft="d", dpo="e f")
    found = Endpoints(engine, 1).compare("Who?", seed=7)
    assert list(found) == ["base", "sft", "dpo"]
    assert [(one["reply"], one["ended"], one["tokens"]) for one in found.values()] == [
        ("a b c", True, 3), ("d", True, 1), ("e f", True, 2),
    ]  # fmt: skip
    [(prompts, names, sampling)] = engine.asked
    assert names == ["base", "sft", "dpo"]
    assert prompts[0] == prompts[1] == prompts[2]
    assert (engine.seed, sampling.temperature, sampling.top_k, sampling.top_p) == (7, 0.9, 25, 0.95)


def test_a_chat_is_one_row_and_says_whether_it_was_cut():
    class Long:
        def stream(self, *asked):
            yield [Partial("and so on", False, None, 3)]
            yield [Partial("and so on and", True, "length", 64)]

    found = Endpoints(Long(), 1).chat("Who?", "sft")
    assert {**found, "seconds": 0} == {"reply": "and so on and", "ended": False, "tokens": 64, "seconds": 0}


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"line": ""}, "line is empty; it takes what was said"),
        ({"line": " \n"}, "line is empty; it takes what was said"),
        ({"line": 5}, "line is 5; it takes a text"),
        ({"line": ["a"]}, "line is ['a']; it takes a text"),
        ({"line": "x" * 501}, "line has 501 characters; it takes at most 500"),
        ({"variant": "judge"}, "variant is 'judge'; it takes base, sft, dpo"),
        ({"variant": ["dpo"]}, "variant is ['dpo']; it takes base, sft, dpo"),
        ({"temperature": -5}, "temperature is -5; it takes 0 (greedy) or 0.01 to 5"),
        ({"temperature": "hot"}, "temperature is 'hot'; it takes a number"),
        ({"temperature": None}, "temperature is None; it takes a number"),
        ({"temperature": float("nan")}, "temperature is nan; it takes 0 (greedy) or 0.01 to 5"),
        ({"top_k": 3.7}, "top_k is 3.7; it takes a whole number from 0 to 1000"),
        ({"top_k": True}, "top_k is True; it takes a number"),
        ({"top_p": float("inf")}, "top_p is inf; it takes a number above 0, at most 1"),
        ({"seed": 1.5}, "seed is 1.5; it takes a whole number from 0 to 2147483647, or nothing."),
        ({"seed": "7"}, "seed is '7'; it takes a number"),
        ({"scene": {}}, "scene is {}; it takes a text"),
        ({"line": "a", "scene": ["x" * 5000]}, "scene is ['" + "x" * 38 + "...; it takes a text"),
    ],
)
def test_what_cannot_be_answered_is_refused_by_name_before_a_model_is_asked(sent, said):
    engine = Script(base="a", sft="b", dpo="c")
    endpoints = Endpoints(engine, 1)
    for function in (endpoints.chat, endpoints.compare):
        if not sent.keys() <= inspect.signature(function).parameters.keys():
            continue
        with pytest.raises(gr.Error) as raised:
            function(**{"line": "Who?", **sent})
        assert raised.value.message == said
    assert not engine.asked
