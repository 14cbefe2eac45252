"""Replies to read are drawn by seed, and shown as they are."""

import pytest

from eval.rows import Response, VariantResponse
from eval.samples import sample_lines
from hub.errors import UserError


def response(number, text, ended="<|im_end|>"):
    reply = VariantResponse(text, ended, 5, 1.0, 2, True, False)
    prompt = [{"role": "system", "content": "s"}, {"role": "user", "content": f"Line {number}?"}]
    row = {"film_reply": "Film\nreply.", "movie_id": "m1", "movie_title": "A Film", "conversation_id": "c"}
    variants = {"base": reply, "sft": VariantResponse("Fine.", "<|im_end|>", 2, 1.0, 2, True, True)}
    row |= {"line_ids": ["L1", "L2"], "distractors": [], "first_better": {}, "shuffled_reply": "Well."}
    return Response(prompt=prompt, variants=variants, **row)


def test_what_is_shown():
    lines = list(sample_lines([response(1, "*Turns* | away", "length")], 1, seed=1))
    assert lines == [
        "1. **Line 1?** (A Film)",
        "   - base: \\*Turns\\* \\| away \u2026",
        "   - fine-tuned: Fine.",
        "   - the films' own: Film reply.",
        "   - another film's: Well.",
    ]


def test_they_are_drawn_by_seed():
    responses = [response(number, "x") for number in range(30)]
    drawn = list(sample_lines(responses, 5, seed=1))
    assert drawn == list(sample_lines(responses, 5, seed=1)) != list(sample_lines(responses, 5, seed=2))
    with pytest.raises(UserError, match="has 30 prompts, not 31"):
        list(sample_lines(responses, 31, seed=1))
