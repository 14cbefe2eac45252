"""Metrics that need no judge: small pure functions, each with its source, and a bootstrap for their intervals."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np


class Estimate(NamedTuple):
    """A value with the ends of its 95% interval."""

    value: float
    low: float
    high: float


def bootstrap(items: Sequence, statistic: Callable[[Sequence], float], seed: int = 0, resamples: int = 500) -> Estimate:
    """The percentile bootstrap over items, here prompts (Efron, 1979)."""
    chance = np.random.default_rng(seed)
    draws = [
        statistic([items[index] for index in chance.integers(0, len(items), len(items))]) for _ in range(resamples)
    ]
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(statistic(items), float(low), float(high))


def wilson(successes: float, n: int, z: float = 1.959964) -> Estimate:
    """A share with its score interval (Wilson, 1927); a tie counts as half a success."""
    if n == 0:
        return Estimate(math.nan, 0.0, 1.0)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Estimate(share, centre - half, centre + half)


def perplexity(log_probs: Sequence[Sequence[float]]) -> float:
    """exp of the mean negative log-likelihood, in nats, over all tokens of all replies, end tokens included."""
    tokens = sum(map(len, log_probs))
    return math.exp(-sum(map(sum, log_probs)) / tokens)


def nats_per_byte(log_probs: Sequence[Sequence[float]], replies: Sequence[str]) -> float:
    """The same loss over the UTF-8 bytes of the replies: comparable between tokenizers."""
    return -sum(map(sum, log_probs)) / sum(len(reply.encode()) for reply in replies)


def hit(scores: Sequence[float]) -> bool:
    """Whether the first candidate, the true one, is strictly ahead of all others (Hits@1; Dinan et al., 2019)."""
    return all(scores[0] > other for other in scores[1:])


def distractors(replies: Sequence[str], groups: Sequence[str], count: int, seed: int) -> list[list[str]]:
    """Draws for each reply `count` distinct other replies, none of its own conversation and none equal to it."""
    chance = random.Random(seed)
    drawn = []
    for reply, group in zip(replies, groups, strict=True):
        pool = sorted({other for other, its in zip(replies, groups, strict=True) if its != group and other != reply})
        drawn.append(chance.sample(pool, min(count, len(pool))))
    return drawn


def words(text: str) -> list[str]:
    """Lower-cased words and punctuation marks."""
    return re.findall(r"\w+(?:'\w+)?|[^\w\s]", text.lower())


def distinct(texts: Sequence[str], n: int) -> float:
    """Distinct n-grams over all n-grams of all texts (Li et al., 2016). It falls with the number of texts."""
    grams = [tuple(tokens[i : i + n]) for tokens in map(words, texts) for i in range(len(tokens) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else math.nan


def length_quantiles(texts: Sequence[str]) -> tuple[float, float, float]:
    """The 10%, 50% and 90% quantiles of the number of words."""
    low, middle, high = np.quantile([len(words(text)) for text in texts], [0.1, 0.5, 0.9])
    return float(low), float(middle), float(high)
