"""Pairwise comparison: the type that it is made of, and the protocol of every judge."""

from __future__ import annotations

from typing import Protocol

from chat.template import Message

Comparison = tuple[list[Message], str, str]  # a prompt, the reply shown first, the reply shown second


class Judge(Protocol):
    """Pairwise judge: says which of two replies to a prompt is better."""

    name: str

    def compare(self, items: list[Comparison]) -> list[float]:
        """Returns, for each prompt with two replies, the probability that the one shown first is better."""
        ...
