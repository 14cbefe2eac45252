"""Pairwise comparison: what every judge of replies takes and gives."""

from __future__ import annotations

from typing import Protocol

from chat.template import Message

Comparison = tuple[list[Message], str, str]  # a prompt, the reply shown first, the reply shown second


class Judge(Protocol):
    """Whoever says which of two replies to a prompt is better."""

    name: str

    def compare(self, items: list[Comparison]) -> list[float]:
        """Returns, for each prompt with two replies, the probability that the one shown first is better."""
        ...
