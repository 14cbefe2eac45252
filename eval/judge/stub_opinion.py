"""Stub opinion: the label distributions and the prose that the stub judge answers with. No network in it."""

from __future__ import annotations

import hashlib
import json
import math
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_REPLIES = re.compile(r"^Reply A: (.*)\nReply B: (.*)$", re.MULTILINE)
_REPLY = re.compile(r"^Reply: (.*)$", re.MULTILINE)
_SEVERAL = re.compile(r"^Write (\d+) ", re.MULTILINE)
# fmt: off
_WORDS = [
    "you", "me", "never", "gun", "night", "door", "money", "heart", "leave", "stay", "doctor", "mother", "believe",
    "river", "why", "listen", "promise",
]
# fmt: on


def quality(text: str, seed: int = 0) -> float:
    """Hidden quality of a reply, from 0 to below 1, uniform over texts."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{text}".encode()).digest()[:6], "big") / 2**48


@dataclass
class StubOpinion:
    """Opinion of the stub judge: which answers it gives to a prompt, and with what probabilities."""

    bias: float = 0.5
    """Position bias: the probability with which it prefers the first of two equally good replies."""
    sharpness: float = 6.0
    """Log-odds between replies of quality 1 and 0."""
    messy: bool = True
    """Spells labels as several tokens do: "A", " A", "A\\n"."""
    opinion: Callable[[str], float] = quality
    """Quality of a reply, from 0 to 1."""
    seed: int = 0

    def labels(self, prompt: str) -> dict[str, float]:
        """Label distribution of the answer to a question that offers labels; empty for one that asks for prose."""
        if found := _REPLIES.search(prompt):
            odds = self.sharpness * (self.opinion(found[1]) - self.opinion(found[2]))
            odds += math.log(self.bias / (1 - self.bias))
            return {"A": 1 / (1 + math.exp(-odds)), "B": 1 / (1 + math.exp(odds))}
        if found := _REPLY.search(prompt):
            centre = 1 + 4 * self.opinion(found[1])
            weights = [math.exp(-((score - centre) ** 2)) for score in range(1, 6)]
            return {str(score): weight / sum(weights) for score, weight in enumerate(weights, 1)}
        return {}

    def tops(self, labels: dict[str, float]) -> list[tuple[str, float]]:
        """Top log-probabilities as real ones come: a label as several tokens, other tokens between, likeliest first."""
        if not self.messy:
            found = list(labels.items())
        else:
            found = [(label, 0.7 * 0.97 * p) for label, p in labels.items()]
            found += [(f" {label}", 0.3 * 0.97 * p) for label, p in labels.items()]
            found += [("The", 0.02), ("10", 0.01)]
        return [(token, math.log(max(p, 1e-30))) for token, p in sorted(found, key=lambda entry: -entry[1])]

    def prose(self, prompt: str, body: dict[str, Any], rng: random.Random) -> str:
        """A text: numbered steps, JSON lines where a schema is asked for, or a sentence."""
        if "numbered steps" in prompt:
            return "\n".join(f"{n}. Look at {word}." for n, word in enumerate(_WORDS[:6], 1))
        if body.get("response_format"):
            several = _SEVERAL.search(prompt)
            count = int(several[1]) if several else 1
            lines = [" ".join(rng.choices(_WORDS, k=rng.randint(4, 12))) for _ in range(count)]
            return json.dumps({"lines": [f"{line.capitalize()}?" for line in lines]})
        return "The answer."
