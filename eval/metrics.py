"""Metrics that need no judge: small pure functions, each with its source, with intervals where they are estimates.

Shares have Wilson's interval, ratios of sums (perplexity, means) a bootstrap over prompts, distinct-n a jackknife:
resampled texts repeat themselves, which would pull a bootstrap of it down.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from stats.intervals import Estimate, Z, ratio, wilson


def perplexity(log_probs: Sequence[Sequence[float]], seed: int = 0) -> Estimate:
    """exp of the mean negative log-likelihood over the tokens of all replies, end tokens too (Jelinek et al., 1977).

    Args:
        log_probs: of each reply, log p of its tokens in nats.
    """
    return ratio([-sum(reply) for reply in log_probs], [len(reply) for reply in log_probs], seed, of=np.exp)


def nats_per_byte(log_probs: Sequence[Sequence[float]], replies: Sequence[str], seed: int = 0) -> Estimate:
    """The same loss over the UTF-8 bytes of the replies, for any tokenizer alike."""
    return ratio([-sum(reply) for reply in log_probs], [len(reply.encode()) for reply in replies], seed)


def perplexity_per_byte(log_probs: Sequence[Sequence[float]], replies: Sequence[str], seed: int = 0) -> Estimate:
    """exp of `nats_per_byte`: what byte-level language models are compared by (Graves, 2013, gives it in bits)."""
    return Estimate(*(math.exp(value) for value in nats_per_byte(log_probs, replies, seed)))


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


def ngrams(tokens: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


def distinct(texts: Sequence[str], n: int) -> Estimate:
    """Distinct n-grams over all n-grams of all texts (Li et al., 2016), plus and minus Z jackknife standard errors.

    It falls as texts grow longer or more numerous: compare it between sets of like size. The delete-one jackknife
    (Efron and Stein, 1981) leaves out each text with the n-grams that only it has.
    """
    grams = [ngrams(words(text), n) for text in texts]
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


def repeated(texts: Sequence[str], n: int, seed: int = 0) -> Estimate:
    """The mean share of a text's n-grams that it has said before: seq-rep-n (Welleck et al., 2020).

    A text of fewer than n words repeats nothing.
    """
    grams = [ngrams(words(text), n) for text in texts]
    shares = [1 - len(set(own)) / len(own) if own else 0.0 for own in grams]
    return ratio(shares, [1.0] * len(shares), seed)


_ASSISTANT = re.compile(
    r"""
    \bas\ an?\ (?:ai|artificial\ intelligence|(?:large\ )?language\ model|virtual\ assistant|chatbot)\b
    | \bi(?:['\u2019]m|\ am)\ (?:just\ |only\ )?an?\ (?:ai|(?:large\ )?language\ model|virtual\ assistant|chatbot)\b
    | \bhow\ (?:can|may)\ i\ assist\ you\b
    | \bi\ (?:can(?:no|['\u2019])t|am\ unable\ to)\ (?:assist|fulfil|comply\ with)\b
    | \bis\ there\ anything\ else\ i\ can\ (?:help|assist)\b
    | \b(?:feel\ free|don['\u2019]t\ hesitate)\ to\ reach\ out\b
    | \bi\ hope\ (?:this|that)\ helps\b
    | \bhere(?:['\u2019]s|\ is)\ (?:a|one|my|the)\b.{0,30}\b(?:reply|response|line\ of\ dialogue)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)


def assistant_speak(text: str) -> bool:
    """Whether a reply talks like an assistant ("As an AI", "How may I assist you?") and not like somebody in a film.

    The phrases are our own choice of what instruction-tuned models say of themselves. One of the 304,713 lines of the
    Cornell corpus matches.
    """
    return bool(_ASSISTANT.search(text))


RUN = 5  # words: shorter replies and runs ("I don't know.") are everybody's


class Seen(NamedTuple):
    """What of some texts stands in the training lines, as words."""

    whole: set[tuple[str, ...]]
    """Texts that are a training line, word for word."""
    runs: set[tuple[str, ...]]
    """Runs of RUN words that stand somewhere in one."""


def seen(texts: Iterable[str], lines: Iterable[str]) -> Seen:
    """Looks for texts, and for their runs of RUN words, in training lines; case does not count. Reads `lines` once."""
    tokens = [tuple(words(text)) for text in texts]
    whole, runs = set(tokens), {run for own in tokens for run in ngrams(own, RUN)}
    found = Seen(set(), set())
    for line in lines:
        own = tuple(words(line))
        if own in whole:
            found.whole.add(own)
        found.runs.update(run for run in ngrams(own, RUN) if run in runs)
    return found


def copied(texts: Sequence[str], known: Seen) -> Estimate | None:
    """The share of texts of RUN words or more that are a training line, word for word; None where none is so long.

    Verbatim memorisation (Carlini et al., 2023), to be read beside the same share of people's own replies.
    """
    long = [own for text in texts if len(own := tuple(words(text))) >= RUN]
    return wilson(sum(own in known.whole for own in long), len(long)) if long else None


def overlap(texts: Sequence[str], known: Seen, seed: int = 0) -> Estimate | None:
    """The share of the texts' runs of RUN words that stand in training lines; None where there is none.

    1 less the n-gram novelty of McCoy et al. (2023).
    """
    runs = [own for text in texts if (own := ngrams(words(text), RUN))]
    inside = [float(sum(run in known.runs for run in own)) for own in runs]
    return ratio(inside, [float(len(own)) for own in runs], seed) if runs else None


class Preference(NamedTuple):
    """How often the first of two variants is preferred: a tie counts as half."""

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
