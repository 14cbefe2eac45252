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
_SCALE = re.compile(r"from (\d+) \(worst\) to (\d+) \(best\)")
_SAY = re.compile(r"^Answer with the (?:number|one letter) (\w+)")
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
    refusals: float = 0.0
    """Share of the questions that offer labels which it refuses to answer."""
    digits: bool = False
    """Whether a number of several digits is a token for each, as in some tokenizers."""

    def refuses_to(self, prompt: str) -> bool:
        """Whether it refuses a question: by its text, so that the same question is always refused."""
        return quality(prompt, self.seed + 1) < self.refusals

    def labels(self, prompt: str) -> dict[str, float]:
        """Label distribution of the answer to a question that offers labels; empty for one that asks for prose."""
        if found := _REPLIES.search(prompt):
            odds = self.sharpness * (self.opinion(found[1]) - self.opinion(found[2]))
            odds += math.log(self.bias / (1 - self.bias))
            return {"A": 1 / (1 + math.exp(-odds)), "B": 1 / (1 + math.exp(odds))}
        if found := _REPLY.search(prompt):
            scale = _SCALE.search(prompt)
            low, high = map(int, scale.groups()) if scale else (1, 5)
            centre, width = low + (high - low) * self.opinion(found[1]), (high - low) / 4
            weights = {n: math.exp(-(((n - centre) / width) ** 2)) for n in range(low, high + 1)}
            return {str(n): weight / sum(weights.values()) for n, weight in weights.items()}
        return {}

    def tops(self, labels: dict[str, float]) -> list[tuple[str, float]]:
        """Top log-probabilities as real ones come: a label as several tokens, other tokens between, likeliest first."""
        if not self.messy:
            found = list(labels.items())
        else:
            found = [(label, 0.7 * 0.97 * p) for label, p in labels.items()]
            found += [(f" {label}", 0.3 * 0.97 * p) for label, p in labels.items()]
            found += [("The", 0.02)] + ([("10", 0.01)] if "10" not in labels else [])
        return self.sorted_logprobs(found)

    def refusal(self, labels: dict[str, float]) -> tuple[str, list[tuple[str, float]]]:
        """A refusal and its first token's top log-probabilities: the labels are in their tail, the first most."""
        tail = [(label, 1e-3 / 10**place) for place, label in enumerate(labels)]
        return "I'm sorry, but I can't rate that.", self.sorted_logprobs([("I", 0.9), ("Sorry", 0.08), *tail])

    def sorted_logprobs(self, found: list[tuple[str, float]]) -> list[tuple[str, float]]:
        """Tokens with their log-probabilities, likeliest first."""
        return [(token, math.log(max(p, 1e-30))) for token, p in sorted(found, key=lambda entry: -entry[1])]

    def prose(self, prompt: str, body: dict[str, Any], rng: random.Random) -> str:
        """A text: a number, numbered steps, JSON lines where a schema is asked for, or a sentence."""
        if asked := _SAY.match(prompt):
            return asked[1][0] if self.digits and body.get("max_completion_tokens") == 1 else asked[1]
        if "numbered steps" in prompt:
            return "\n".join(f"{n}. Look at {word}." for n, word in enumerate(_WORDS[:6], 1))
        if body.get("response_format"):
            several = _SEVERAL.search(prompt)
            count = int(several[1]) if several else 1
            lines = [" ".join(rng.choices(_WORDS, k=rng.randint(4, 12))) for _ in range(count)]
            return json.dumps({"lines": [f"{line.capitalize()}?" for line in lines]})
        return "The answer."
