"""Controls: what each makes of a reply, and what it cannot be made of."""

import random

import pytest

from eval.metrics import explains_or_directs
from eval.qualify.controls import ASSISTANT_PHRASES, CONTROLS, EXPLANATIONS, Pool, first_sentences, nearest_in_length

LINE, REPLY = "Where were you last night?", "At the pier, with a gun."
POOL = Pool(
    ["Never.", "I hate the sea more than you.", "Nobody moves.", "Tell him yes."], ["Ask my brother about the money."]
)


def made(name, reply=REPLY, pool=POOL, seed=1):
    return CONTROLS[name](LINE, reply, random.Random(seed), pool)


def test_each_control():
    assert made("shuffled") == "I hate the sea more than you."  # 7 words for 6
    assert made("same film") == "Ask my brother about the money."
    assert made("truncated") == "At the pier"
    assert made("echoing") == LINE
    assert made("echoing", "No way.") == "last night?"
    assert {made("repeated", seed=seed) for seed in range(20)} == {
        f"{REPLY} {REPLY}",
        f"{REPLY} pier, with a gun. pier, with a gun. pier, with a gun.",
    }
    assert made("over-long").startswith(f"{REPLY} ")
    assert len(made("over-long").split()) >= len(REPLY.split()) + 4


def test_all_assistant_lines_are_told_by_the_metrics_lists():
    for text in ASSISTANT_PHRASES + EXPLANATIONS:
        assert explains_or_directs(text.format(line=LINE)), text
    assert {made("assistant-like", seed=seed) for seed in range(200)} == {
        text.format(line=LINE) for text in ASSISTANT_PHRASES + EXPLANATIONS
    }


@pytest.mark.parametrize("line", ["Say {it}.", "100% {0}"])
def test_braces_in_a_line_are_text(line):
    texts = [CONTROLS["assistant-like"](line, REPLY, random.Random(seed), POOL) for seed in range(30)]
    assert any(line in text for text in texts)


def test_what_cannot_be_made_is_none():
    empty = Pool([], [])
    assert made("truncated", "No, not me.") is None
    assert made("shuffled", pool=empty) is None
    assert made("same film", pool=empty) is None
    assert made("over-long", pool=empty) is None
    assert nearest_in_length("Never.", ["never. "], random.Random(1)) is None


@pytest.mark.parametrize(
    ("text", "words", "found"),
    [
        ("No. I was at home. All night.", 5, "No. I was at home."),
        ("No. I was at home. All night.", 1, "No."),
        ("A long first sentence stays whole. And the next.", 2, "A long first sentence stays whole."),
        ('He said "No!" And left. Then', 5, 'He said "No!" And left.'),
        ("Mr. Smith? No  stop", 9, "Mr. Smith? No stop"),
        ("", 3, ""),
    ],
)
def test_first_sentences(text, words, found):
    assert first_sentences(text, words) == found
