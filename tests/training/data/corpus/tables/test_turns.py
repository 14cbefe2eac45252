"""Turns of a chat row: every shape is read or named, what is no dialogue is told from it."""

from collections import Counter

import pytest

from training.data.corpus.tables.turns import ShapeError, Turn, turns_of

SAID = [Turn("Who?", "user"), Turn("Me.", "assistant")]


@pytest.mark.parametrize(
    ("value", "turns"),
    [
        (["Who?", None, "Me."], [Turn("Who?"), Turn(""), Turn("Me.")]),
        ([{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me."}], SAID),
        ([{"from": "user", "value": "Who?"}, {"from": "assistant", "value": "Me."}], SAID),
        (
            [{"speaker": 0, "utterance": "Who?"}, {"speaker": 1, "text": "Me."}],
            [Turn("Who?", "0", "0"), Turn("Me.", "1", "1")],
        ),
        ({"role": ["user", "assistant"], "content": ["Who?", "Me."], "tool_calls": None}, SAID),
        ([{"role": "user", "content": ["Who", {"type": "text", "text": "is it?"}]}], [Turn("Who is it?", "user")]),
        ([{"role": "user", "content": {"type": ["text", "image"], "text": ["Who?", None]}}], SAID[:1]),
        ([{"role": "user", "content": [{"type": "text", "text": {"value": "Who?"}}]}], SAID[:1]),
        ([{"role": "user", "name": "ADA", "content": None}], [Turn("", "user", "ADA")]),
        ([{"author": {"role": "user"}, "content": "Who?"}], [Turn("Who?", "user", "user")]),
        (
            [{"type": "human", "content": "Who?"}, {"type": "ai", "content": "Me."}],
            [Turn("Who?", "human"), Turn("Me.", "ai")],
        ),
        ([{"type": "text", "content": "Who?"}], [Turn("Who?")]),
    ],
)
def test_shapes_that_are_read(value, turns):
    assert turns_of(value, Counter()) == turns


@pytest.mark.parametrize(
    ("value", "reason", "seen"),
    [
        ("Who? Me.", "rows without a list of turns", "text"),
        (7, "rows without a list of turns", "a number"),
        ({"role": "user", "content": "Who?"}, "rows without a list of turns", r"role \(text\), content \(text\)"),
        (
            {"role": "user", "content": ["Who?"]},
            "rows without a list of turns",
            r"content \(a list of 1 \(text first\)",
        ),
        ({"role": ["user"], "content": ["Who?", "Me."]}, "rows whose columns of turns differ in length", "a list of 2"),
        ({}, "rows without a list of turns", "an empty object"),
    ],
)
def test_shapes_that_are_not_read_are_named(value, reason, seen):
    with pytest.raises(ShapeError, match=seen) as caught:
        turns_of(value, Counter())
    assert caught.value.args[0] == reason


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"role": "system", "name": "director", "content": "Stay calm."}, "system"),
        ({"role": "System", "content": None}, "system"),
        ({"role": "developer", "content": "Stay calm."}, "system"),
        ({"from": "function_call", "value": "{}"}, "tool"),
        ({"from": "function-response", "value": "{}"}, "tool"),
        ({"from": "observation", "value": "{}"}, "tool"),
        ({"role": "tool", "name": "look", "content": "{}"}, "tool"),
        ({"role": "ipython", "content": "{}"}, "tool"),
        ({"type": "function_call_output", "output": "{}"}, "tool"),
        ({"type": "toolResult", "role": "user", "content": "{}"}, "tool"),
        ({"role": "assistant", "content": None, "tool_calls": [{"id": 1}]}, "tool"),
        ({"role": "assistant", "content": " ", "function_call": {"name": "look"}}, "tool"),
        ({"from": "gpt", "value": '<tool_call>\n{"name": "look"}\n</tool_call>'}, "tool"),
        ({"from": "gpt", "value": 'I look. <functioncall> {"name": "look"}'}, "tool"),
        ({"role": "assistant", "content": '[TOOL_CALLS] [{"name": "look"}]'}, "tool"),
        ({"role": "functions.look", "content": "{}"}, "tool"),
        ({"role": "plugin", "content": "{}"}, "tool"),
        ({"role": "documents", "content": "The pier is old."}, "tool"),
        ({"role": "assistant", "recipient": "python", "content": "print(1)"}, "tool"),
        ({"role": "assistant", "recipient": "functions.look", "content": "{}"}, "tool"),
        ({"role": "assistant", "channel": "analysis", "content": "They want to know who."}, "tool"),
        ({"role": "assistant", "channel": "final", "recipient": "all", "content": "Me."}, None),
        ({"role": "assistant", "recipient": "ADA", "content": "Me."}, None),
        ({"role": "assistant", "content": "I look.", "tool_calls": [{"id": 1}]}, None),
        ({"role": "assistant", "content": None, "tool_calls": []}, None),
        ({"speaker": "TOOLE", "text": "A tool is a function."}, None),
    ],
)
def test_what_is_no_dialogue(message, kind):
    assert turns_of([message], Counter())[0].left_out == kind


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>\nThey ask.\n</think>\n\nMe.", "Me."),
        ("They ask.</think>Me.", "Me."),  # its template has the opening tag in the prompt
        ("<Thinking>They</Thinking><reasoning>ask.</reasoning> Me.", "Me."),
        ("<think>Cut off", ""),
        ("I <b>think</b> so.", "I <b>think</b> so."),
        ("Me. <think>Or not.</think> I was there.", "Me.   I was there."),
    ],
)
def test_thinking_is_no_dialogue(text, said):
    counts = Counter()
    assert turns_of([{"role": "assistant", "content": text}], counts)[0].text.strip() == said
    assert counts["turns with thinking taken out"] == (text != said)


def test_what_is_not_read_within_a_turn_is_counted():
    parts = [{"type": "image_url", "image_url": "x"}, {"type": "a|b\n"}, {"type": "text", "text": None}, 3]
    counts = Counter()
    assert turns_of([{"content": parts}, {"content": 5}, ["ADA", "Hello."]], counts) == [Turn("")] * 3
    assert counts == {
        "parts left out: image_url": 1,
        "parts left out: another kind": 2,
        "parts left out: text": 1,
        "turns whose text is not read": 1,
        "turns that are neither text nor message": 1,
    }


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("user", None), ("user", None), True),
        (("human", None), ("User", None), True),
        (("user", None), ("assistant", None), False),
        (("user", "ADA"), ("user", "BO"), False),
        (("user", "ADA"), ("user", None), True),
        (("user", "ADA"), ("assistant", "ADA"), False),
        ((None, "ADA"), (None, "ADA"), True),
        ((None, None), (None, None), False),
        ((None, "ADA"), (None, None), False),
    ],
)
def test_two_turns_of_one_speaker(one, other, same):
    assert Turn("a", *one).follows_itself(Turn("b", *other)) == same
