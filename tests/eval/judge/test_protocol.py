"""Responses as servers send them: thinking, fences, parts, no usage, no choices, and what is no chat completion."""

import pytest
from openai.types.chat import ChatCompletion

from eval.judge.api_errors import MalformedResponse
from eval.judge.messages import Request
from eval.judge.protocol import final_text, parse_response
from eval.judge.settings import JudgeSettings
from hub.errors import UserError

SETTINGS = JudgeSettings(model="m", base_url="http://127.0.0.1:1/v1")
ASKED = Request((("user", "x" * 40),), max_tokens=7, n=2)  # at most 40 // 3 + 20 tokens, and 2 answers of 7


def read(**fields):
    choice = {"index": 0, "message": {"role": "assistant", "content": "B"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 5, "completion_tokens": 2}
    return parse_response(
        ChatCompletion.construct(**{"id": "x", "choices": [choice], "usage": usage} | fields), ASKED, SETTINGS
    )


@pytest.mark.parametrize(
    ("tops", "first"),
    [
        (None, ()),
        ([], ()),
        ([{"token": "A", "logprob": None}, {"token": "B", "logprob": -0.5}], (("B", -0.5),)),
        ([{"token": "A", "logprob": 0.9}, {"token": "B", "logprob": 0.0}], (("B", 0.0),)),
    ],
)
def test_alternatives_without_a_log_probability_are_none(tops, first):
    token = {"token": "A", "logprob": -0.1} | ({} if tops is None else {"top_logprobs": tops})
    message = {"role": "assistant", "content": "A"}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": {"content": [token]}}
    assert read(choices=[choice]).first == first


@pytest.mark.parametrize(
    ("text", "final"),
    [
        ("<think>\nA or B?\n</think>\n\nB", "B"),
        ("A, no: B.\n</think>\nB", "B"),  # the template opened the thinking in the prompt
        ("<think>It could be A", ""),  # cut off
        ("<reasoning>x</reasoning> 4", "4"),
        ("```\nB\n```", "B"),
        ("```json\n{}\n```\n", "{}"),
        ("```text\nB", "B"),  # the end of the fence was cut off
        ("<think>x</think>\n```\nA\n```", "A"),
        (" B\n", " B\n"),
        ("Use ``` for code", "Use ``` for code"),
    ],
)
def test_the_answer_stands_after_the_thinking_and_inside_the_fence(text, final):
    assert final_text(text) == final


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, ""), ([{"type": "thinking", "thinking": "A?"}, {"type": "text", "text": "B"}], "B"), ("B", "B")],
)
def test_content_is_a_text_or_null_or_parts(content, text):
    choice = {"message": {"content": content, "reasoning_content": "A!"}, "finish_reason": "stop"}
    assert read(choices=[choice]).texts == (text,)


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 2}, (5, 2, False)),
        ({"prompt_tokens": 5, "completion_tokens": 0}, (5, 0, False)),
        (None, (33, 14, True)),
        ({}, (33, 14, True)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, (33, 14, True)),
        ({"prompt_tokens": 5}, (5, 14, True)),
        ({"prompt_tokens": "many", "completion_tokens": 3}, (33, 3, True)),
    ],
)
def test_tokens_that_are_not_counted_are_the_most_that_they_could_be(usage, counted):
    answer = read(usage=usage)
    assert (answer.prompt_tokens, answer.answer_tokens, answer.estimated) == counted


@pytest.mark.parametrize("choices", [[], None])
def test_without_choices_the_prompt_was_filtered(choices):
    answer = read(choices=choices)
    assert answer.refused
    assert answer.texts == ("", "")


@pytest.mark.parametrize(
    ("response", "says"),
    [
        ("<html><h1>Welcome</h1></html>", "a web page; check judge.base_url"),
        ("It works!", r"no JSON \(It works!\)"),
        ({"done": True, "message": {"content": "A"}}, "no chat completion"),
        ({"error": "Unexpected endpoint"}, "Unexpected endpoint"),
    ],
)
def test_what_is_no_chat_completion_is_one_line_at_once(response, says):
    made = response if isinstance(response, str) else ChatCompletion.construct(**response)
    with pytest.raises(UserError, match=says):
        parse_response(made, ASKED, SETTINGS)


@pytest.mark.parametrize("response", ["", {"error": {"code": 503, "message": "overloaded"}}])
def test_what_may_pass_is_asked_for_again(response):
    made = response if isinstance(response, str) else ChatCompletion.construct(**response)
    with pytest.raises(MalformedResponse):
        parse_response(made, ASKED, SETTINGS)
