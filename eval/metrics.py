"""Metrics that need no judge: small pure functions, each with its source, with intervals where they are estimates.

Shares have Wilson's interval, ratios of sums (perplexity, means) a bootstrap over prompts, distinct-n a jackknife:
resampled texts repeat themselves, which would pull a bootstrap of it down.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from eval.intervals import Estimate, Z, ratio, wilson


def perplexity(log_probs: Sequence[Sequence[float]], seed: int = 0) -> Estimate:
    """exp of the mean negative log-likelihood over the tokens of all replies, end tokens too (Jelinek et al., 1977).

    Args:
        log_probs: of each reply, log p of its tokens in nats.
    """
    return ratio([-sum(reply) for reply in log_probs], [len(reply) for reply in log_probs], seed, of=np.exp)


def nats_per_byte(log_probs: Sequence[Sequence[float]], replies: Sequence[str], seed: int = 0) -> Estimate:
    """The same loss over the UTF-8 bytes of the replies, for any tokenizer alike; exp of it is perplexity per byte."""
    return ratio([-sum(reply) for reply in log_probs], [len(reply.encode()) for reply in replies], seed)


def hit(scores: Sequence[float]) -> bool:
    """Whether the first candidate, the true reply, is strictly ahead of all others: Hits@1 (Zhang et al., 2018)."""
    return all(scores[0] > other for other in scores[1:])


def distractors(replies: Sequence[str], groups: Sequence[str], count: int, seed: int) -> list[list[str]]:
    """Draws for each reply `count` different other replies, none equal to it and none said in its own group.

    Everybody gets as many as the poorest can have, so that one chance level holds for all.
    """
    said: dict[str, set[str]] = {}
    for reply, group in zip(replies, groups, strict=True):
        said.setdefault(group, set()).add(reply)
    everything = sorted(set(replies))
    count = min([count, *(len(everything) - len(own) for own in said.values())])
    chance = random.Random(seed)
    drawn = []
    for group in groups:
        pool = chance.sample(everything, min(len(everything), count + len(said[group])))
        drawn.append([reply for reply in pool if reply not in said[group]][:count])
    return drawn


def words(text: str) -> list[str]:
    """Lower-cased words and punctuation marks."""
    return re.findall(r"\w+(?:['\u2019]\w+)*|[^\w\s]", text.lower())


def distinct(texts: Sequence[str], n: int) -> Estimate:
    """Distinct n-grams over all n-grams of all texts (Li et al., 2016), plus and minus Z jackknife standard errors.

    It falls as texts grow longer or more numerous: compare it between sets of like size. The delete-one jackknife
    (Efron and Stein, 1981) leaves out each text with the n-grams that only it has.
    """
    grams = [[tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)] for tokens in map(words, texts)]
    holders = Counter(gram for own in grams for gram in set(own))
    total = sum(map(len, grams))
    if total == 0:
        return Estimate(0.0, 0.0, 0.0)
    without = np.array(
        [(len(holders) - sum(holders[gram] == 1 for gram in set(own))) / max(1, total - len(own)) for own in grams]
    )
    error = math.sqrt((len(texts) - 1) / len(texts) * float(((without - without.mean()) ** 2).sum()))
    value = len(holders) / total
    return Estimate(value, max(0.0, value - Z * error), min(1.0, value + Z * error))


def length_quantiles(texts: Sequence[str]) -> tuple[float, float, float]:
    """The 10%, 50% and 90% quantiles of the number of words and punctuation marks."""
    low, middle, high = np.quantile([len(words(text)) for text in texts], [0.1, 0.5, 0.9])
    return float(low), float(middle), float(high)


class Preference(NamedTuple):
    """How often the first of two voices is preferred: a tie counts as half."""

    rate: Estimate
    ties: float
    """Share of prompts whose two responses are the same or equally good."""


def preference(first_better: Sequence[float], same: Sequence[bool]) -> Preference:
    """Counts wins from the probability, per prompt, that the first response is better; `same` marks equal responses.

    Ties pull the rate towards one half and tell nothing, so the interval is Wilson's of the wins among decided prompts,
    given the ties: as in the sign test (Dixon and Mood, 1946), it leaves one half out where the decided prompts do.
    """
    n = len(first_better)
    tied = [equal or p == 0.5 for p, equal in zip(first_better, same, strict=True)]
    ties, decided = sum(tied) / n, n - sum(tied)
    if decided == 0:
        return Preference(Estimate(0.5, 0.5, 0.5), ties)
    wins = wilson(sum(p > 0.5 for p, tie in zip(first_better, tied, strict=True) if not tie), decided)
    return Preference(Estimate(*(ties / 2 + (1 - ties) * share for share in wins)), ties)
