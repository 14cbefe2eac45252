"""Metrics without a judge: small pure functions, each with its source, with intervals where they are estimates.

`films` has each prompt's film: intervals have whole films as their units (`stats.clustered`).
"""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from stats.clustered import ClusterEstimate, clustered_mean, clustered_share
from stats.style import tokenize_words

LOW_TAIL = (0.05, 0.1, 0.25)
"""Quantiles of the low-score tail: DPO may remove bad replies and leave the good ones as they are."""


def perplexity(log_probs: Sequence[Sequence[float]], films: Sequence[str]) -> ClusterEstimate:
    """Perplexity: exp of the mean negative log-likelihood over all tokens, end tokens too (Jelinek et al., 1977).

    Args:
        log_probs: of each reply, log p of its tokens in nats.
        films: of each reply, its film.
    """
    return clustered_mean([-sum(one) for one in log_probs], films, [len(one) for one in log_probs], of=math.exp)


def loss_per_byte(
    log_probs: Sequence[Sequence[float]],
    replies: Sequence[str],
    films: Sequence[str],
    of: Callable[[float], float] = float,
) -> ClusterEstimate:
    """Loss in nats per UTF-8 byte of the replies, which does not depend on the tokenizer; `of` transforms it."""
    return clustered_mean([-sum(one) for one in log_probs], films, [len(one.encode()) for one in replies], of=of)


def perplexity_per_byte(
    log_probs: Sequence[Sequence[float]], replies: Sequence[str], films: Sequence[str]
) -> ClusterEstimate:
    """Perplexity per byte: exp of `loss_per_byte`, as of byte-level models (Graves, 2013, gives it in bits)."""
    return loss_per_byte(log_probs, replies, films, of=math.exp)


def hit(scores: Sequence[float]) -> bool:
    """Hits@1: whether the first candidate, the true reply, is strictly ahead of all others (Zhang et al., 2018)."""
    return all(scores[0] > other for other in scores[1:])


def distractors(replies: Sequence[str], groups: Sequence[str], count: int, seed: int) -> list[list[str]]:
    """Distractors: for each reply `count` different other replies, none equal to it and none of its own group.

    Everybody gets as many as the poorest can have, so that one chance level holds for all.
    """
    by_group: dict[str, set[str]] = {}
    for reply, group in zip(replies, groups, strict=True):
        by_group.setdefault(group, set()).add(reply)
    everything = sorted(set(replies))
    count = min([count, *(len(everything) - len(own) for own in by_group.values())])
    rng = random.Random(seed)
    drawn = []
    for group in groups:
        pool = rng.sample(everything, min(len(everything), count + len(by_group[group])))
        drawn.append([reply for reply in pool if reply not in by_group[group]][:count])
    return drawn


def ngrams(tokens: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """All n-grams in order."""
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


def distinct(texts: Sequence[str], n: int) -> float:
    """Distinct-n: different n-grams over all n-grams (Li et al., 2016).

    It falls as texts grow longer or more numerous: `distinct_at` compares sets of texts.
    """
    grams = [gram for text in texts for gram in ngrams(tokenize_words(text), n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def distinct_at(texts: Sequence[str], n: int, budget: int, seed: int = 0, draws: int = 100) -> float:
    """Distinct-n at an equal budget: different n-grams among `budget` of them, from texts in a random order.

    The mean over `draws` orders. Distinct-n falls with the number of n-grams, so that sets of texts of unlike length
    compare only where as many are counted of each.

    Args:
        texts: replies.
        n: words of an n-gram.
        budget: at most as many as the texts have.
        seed: of the orders.
        draws: how many orders.
    """
    grams, rng, shares = [ngrams(tokenize_words(text), n) for text in texts], random.Random(seed), []
    for _ in range(draws):
        rng.shuffle(grams)
        taken = list(itertools.islice(itertools.chain.from_iterable(grams), budget))
        shares.append(len(set(taken)) / len(taken) if taken else 0.0)
    return sum(shares) / draws


def ngram_count(texts: Sequence[str], n: int) -> int:
    """Number of n-grams in texts, repeated ones counted each time."""
    return sum(len(ngrams(tokenize_words(text), n)) for text in texts)


def length_quantiles(texts: Sequence[str]) -> tuple[float, float, float]:
    """Length quantiles (10%, 50%, 90%) in words and punctuation marks."""
    low, middle, high = np.quantile([len(tokenize_words(text)) for text in texts], [0.1, 0.5, 0.9])
    return float(low), float(middle), float(high)


def repeated(texts: Sequence[str], n: int, films: Sequence[str]) -> ClusterEstimate:
    """Seq-rep-n: the mean share of a text's n-grams that it has said before (Welleck et al., 2020).

    A text of fewer than n words repeats nothing.
    """
    grams = [ngrams(tokenize_words(text), n) for text in texts]
    return clustered_mean([1 - len(set(own)) / len(own) if own else 0.0 for own in grams], films)


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
    """Assistant register: whether a reply talks like a chatbot ("As an AI", "How may I assist you?").

    The phrases are our own choice of what instruction-tuned models say of themselves. One of the 304,713 lines of the
    Cornell corpus matches.
    """
    return bool(_ASSISTANT.search(text))


_EXPLAINS = re.compile(
    r"""
    \[[^\]]{2,}\] | \([^)]{2,}\) | \*\*[^*]+\*\* | \*[^*\s]+\s[^*]+\*           # stage directions, headings
    | ^\W*(?:int|ext)\. | \bfade\ (?:in|out)\b                                # slug lines
    | (?-i:^\W*[A-Z][A-Z.'\ ]{1,30}:\s)                                        # a speaker's name, as in a script
    | \bdialogue:
    | \b(?:this|the|a)\ (?:classic\ )?(?:scene|line\ of\ dialogue|dialogue|screenplay|movie\ quote)\b
    | \b(?:classic|famous|iconic)\ (?:example|line|quote|scene|film|movie|moment)\b
    | \b(?:scene|line|quote|dialogue)\ (?:from|in|of)\ the\ (?:film|movie)\b
    | \bthe\ (?:main\ )?(?:character|protagonist|speaker|narrator|audience)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)


def explains_or_directs(text: str) -> bool:
    """Register of an outsider: whether a reply speaks about a scene, or stages it, instead of answering in it.

    Stage directions in brackets or asterisks, slug lines, speakers' names, "this scene", "classic example", "the
    protagonist", and `assistant_speak`. The list is our own; its rate among the films' own replies stands beside it.
    """
    return bool(_EXPLAINS.search(text)) or assistant_speak(text)


RUN = 5  # words: shorter replies and runs ("I don't know.") are everybody's


class TrainingOverlap(NamedTuple):
    """Overlap of some texts with the training lines, as word tokens."""

    whole: set[tuple[str, ...]]
    """Texts that are a training line, word for word."""
    runs: set[tuple[str, ...]]
    """Runs of RUN words that stand somewhere in one."""


def training_overlap(texts: Iterable[str], lines: Iterable[str]) -> TrainingOverlap:
    """Exact and n-gram matches of texts in training lines; case does not count. Reads `lines` once."""
    tokens = [tuple(tokenize_words(text)) for text in texts]
    whole, runs = set(tokens), {run for own in tokens for run in ngrams(own, RUN)}
    found = TrainingOverlap(set(), set())
    for line in lines:
        own = tuple(tokenize_words(line))
        if own in whole:
            found.whole.add(own)
        found.runs.update(run for run in ngrams(own, RUN) if run in runs)
    return found


def copied(texts: Sequence[str], known: TrainingOverlap, films: Sequence[str]) -> ClusterEstimate | None:
    """Memorised share: texts of RUN words or more that are a training line, word for word; None where none is so long.

    Verbatim memorisation (Carlini et al., 2023), to be read beside the same share of people's own replies.
    """
    every = [(tuple(tokenize_words(text)), film) for text, film in zip(texts, films, strict=True)]
    long = [(own in known.whole, film) for own, film in every if len(own) >= RUN]
    return clustered_share(*zip(*long, strict=True)) if long else None


def overlap(texts: Sequence[str], known: TrainingOverlap, films: Sequence[str]) -> ClusterEstimate | None:
    """N-gram overlap: the share of the texts' runs of RUN words that stand in training lines; None where there is none.

    1 less the n-gram novelty of McCoy et al. (2023).
    """
    runs = [ngrams(tokenize_words(text), RUN) for text in texts]
    inside = [sum(run in known.runs for run in own) for own in runs]
    return clustered_mean(inside, films, list(map(len, runs))) if any(runs) else None


class WinRate(NamedTuple):
    """Win rate of the first of two variants; a tie counts as half."""

    rate: ClusterEstimate
    """Its p-value is of the null that both win as often."""
    ties: float
    """Share of prompts whose two responses are the same or equally good."""


def win(first_better: float, same: bool) -> float:
    """Win of the first of two responses: 1, 0, or one half where they are the same or equally good."""
    return 0.5 if same else 0.5 * (1 + (first_better > 0.5) - (first_better < 0.5))


def win_rate(first_better: Sequence[float], same: Sequence[bool], films: Sequence[str]) -> WinRate:
    """Win rate from the probability, per prompt, that the first response is better; `same` marks equal responses."""
    won = list(map(win, first_better, same))
    return WinRate(clustered_mean(won, films, null=0.5), won.count(0.5) / len(won))
