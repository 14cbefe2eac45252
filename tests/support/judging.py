"""Requests that the stub judge understands."""

from __future__ import annotations

from eval.judge.messages import Request


def question(number: int, **options) -> Request:
    text = f"Line {number}\nReply A: Yes {number}.\nReply B: No {number}.\nWhich?"
    return Request((("user", text),), 1, logprobs=20, **options)
