"""Judges with planted faults of known size, and held-out films to qualify them on: pure Python."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

from chat.template import SYSTEM_PROMPT
from eval.judge.bias import echo_share
from eval.judge.comparison import Comparison

WORDS = [f"{a}{b}" for a in ("ba", "do", "ki", "lu", "me", "ra", "so", "ti") for b in ("n", "r", "ska", "vel", "mo")]


def film_rows(films: int = 30, each: int = 20, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of a dialogue dataset: a conversation a pair; a quarter of a reply's words repeat the line's."""
    rng = random.Random(seed)
    rows = []
    for index in range(films * each):
        line = rng.choices(WORDS, k=rng.randint(4, 14))
        reply = [rng.choice(line if rng.random() < 0.25 else WORDS) for _ in range(rng.randint(3, 14))]
        rows.append(
            {
                "prompt": [
                    {"role": "system", "content": SYSTEM_PROMPT},
                    {"role": "user", "content": f"{' '.join(line).capitalize()} {index}?"},
                ],
                "completion": [{"role": "assistant", "content": f"{' '.join(reply).capitalize()}."}],
                "movie_id": f"m{index // each}",
                "movie_title": f"film {index // each}",
                "conversation_id": f"c{index}",
                "line_ids": [f"L{2 * index}", f"L{2 * index + 1}"],
            }
        )
    return rows


Fault = Callable[[list[dict[str, str]], str, str, random.Random], float | None]
"""P(first) of a fault that speaks, or None where the truth shall speak."""


class PlantedJudge:
    """Judge that knows the truth and, in a share of its judgements, says what its fault says.

    Args:
        rows: where the truth is from.
        fault: what it says instead.
        share: of the judgements; of both orders of a pair alike where `paired`.
        paired: whether both orders of a pair share their chance.
    """

    def __init__(self, rows: list[dict[str, Any]], fault: Fault, share: float, paired: bool = True) -> None:
        self.name = f"planted {share}"
        self.truth = {row["prompt"][-1]["content"]: row["completion"][0]["content"] for row in rows}
        self.fault, self.share, self.paired = fault, share, paired

    def compare(self, items: list[Comparison]) -> list[float]:
        return [self.one(*item) for item in items]

    def one(self, prompt: list[dict[str, str]], first: str, second: str) -> float:
        texts = sorted((first, second)) if self.paired else (first, second)
        rng = random.Random("\x1f".join([prompt[-1]["content"], *texts]))
        said = self.fault(prompt, first, second, rng) if rng.random() < self.share else None
        return float(self.truth[prompt[-1]["content"]] == first) if said is None else said


def takes_first(prompt: Any, first: str, second: str, rng: random.Random) -> float:
    """Position bias."""
    return 1.0


def takes_longer(prompt: Any, first: str, second: str, rng: random.Random) -> float:
    """Length bias."""
    a, b = len(first.split()), len(second.split())
    return 0.5 if a == b else float(a > b)


def takes_echo(prompt: Any, first: str, second: str, rng: random.Random) -> float:
    """Echo bias."""
    a, b = echo_share(prompt, first), echo_share(prompt, second)
    return 0.5 if a == b else float(a > b)


def refuses(prompt: Any, first: str, second: str, rng: random.Random) -> float:
    """Refusal: unscored."""
    return math.nan


def tosses(prompt: Any, first: str, second: str, rng: random.Random) -> float:
    """A coin."""
    heads = rng.random() < 0.5
    return float(heads == (first < second))
