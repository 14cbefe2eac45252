"""PMI judge: pointwise mutual information under the base model, which needs no endpoint."""

from __future__ import annotations

import math
from collections.abc import Callable

from chat.likelihood import pmi
from chat.template import Message
from chat.variants import ModelVariants
from eval.judge.comparison import Comparison, Judge


class PMIJudge:
    """PMI judge: prefers the reply that the prompt explains better.

    P(first is better) = sigmoid(PMI(first) - PMI(second)), PMI as in `chat.likelihood.pmi`, under the base model. It
    reads each reply by itself, so the order in which two are shown cannot matter, and no pair is read twice.
    """

    name = "PMI under the base model"

    def __init__(self, variants: ModelVariants) -> None:
        self.variants = variants
        self._known: dict[tuple[str, str], float] = {}

    def compare(self, items: list[Comparison]) -> list[float]:
        """P(the reply shown first is better), by item; every prompt and reply is scored once."""
        wanted = {(_key(prompt), reply): (prompt, reply) for prompt, *replies in items for reply in replies}
        new = {key: pair for key, pair in wanted.items() if key not in self._known}
        if new:
            self._known |= dict(zip(new, pmi(self.variants, "base", list(new.values())), strict=True))
        return [
            sigmoid(self._known[_key(prompt), first] - self._known[_key(prompt), second])
            for prompt, first, second in items
        ]


JUDGES: dict[str, Callable[[ModelVariants], Judge]] = {"pmi": PMIJudge}
"""Judges by the name that settings call them."""


def sigmoid(x: float) -> float:
    """Logistic function, without overflow at either end."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _key(prompt: list[Message]) -> str:
    return "\x1e".join(f"{message['role']}\x1f{message['content']}" for message in prompt)
