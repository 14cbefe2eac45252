"""Pairwise comparison: the type that it is made of, and the protocol of every judge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from chat.template import Message

Comparison = tuple[list[Message], str, str]  # a prompt, the reply shown first, the reply shown second


class Judge(Protocol):
    """Pairwise judge: says which of two replies to a prompt is better."""

    name: str

    def compare(self, items: list[Comparison]) -> list[float]:
        """Returns, for each prompt with two replies, the probability that the one shown first is better."""
        ...


def in_both_orders(items: Sequence[Comparison]) -> list[Comparison]:
    """What a judge is asked of pairs in both orders: each as it is, then each with its replies exchanged."""
    return [*items, *((prompt, second, first) for prompt, first, second in items)]


def compare_in_both_orders(judge: Judge, items: Sequence[Comparison]) -> list[tuple[float, float]]:
    """P(the reply shown first is better) of each pair, as it is and with its replies exchanged."""
    found = judge.compare(in_both_orders(items))
    return list(zip(found[: len(items)], found[len(items) :], strict=True))


def sigmoid(x: float) -> float:
    """Logistic function, without overflow at either end."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
