"""Metrics of each variant from its replies and likelihoods, and paired comparisons of variants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tqdm import tqdm

from chat.generate import Reply
from chat.likelihood import without_prompt
from chat.template import PAD, STOP
from chat.variants import ModelVariants
from eval import metrics
from eval.judge.comparison import Judge
from eval.ranking import log_probs_of_many
from eval.rows import PAIRS, DialoguePair
from stats.intervals import Estimate, Paired, bootstrap_ratio, holm_correction, paired_difference, wilson_interval

Metrics = dict[str, Estimate | float | None]
"""By name; None where there is nothing to measure."""


class Ranked(NamedTuple):
    """Rank of the film's own reply to one prompt under one variant."""

    log_probs: list[float]
    """In nats, of each token, `<|im_end|>` included."""
    hit_pmi: bool
    """Whether it comes first among its distractors by PMI under this variant,"""
    hit_likelihood: bool
    """and by mean log-likelihood, which favours bland replies."""


def film_reply(row: DialoguePair) -> str:
    """The film's own reply."""
    return row["completion"][0]["content"]


def rank(variants: ModelVariants, name: str, rows: list[DialoguePair], candidates: list[list[str]]) -> list[Ranked]:
    """Hits@1 of the film's reply to each prompt among its distractors, by PMI and by likelihood.

    log p(reply | empty prompt) is found once for each reply, however many prompts it stands beside.

    Raises:
        ValueError: the prompts have different system messages: then there is no one empty prompt.
    """
    groups = [[film_reply(row), *others] for row, others in zip(rows, candidates, strict=True)]
    empty = without_prompt(rows[0]["prompt"])
    if any(without_prompt(row["prompt"]) != empty for row in rows):
        raise ValueError("the prompts have different system messages")
    replies = list(dict.fromkeys(reply for group in groups for reply in group))
    alone = dict(zip(replies, map(mean, log_probs_of_many(variants, name, empty, replies)), strict=True))
    ranked = []
    for row, group in tqdm(list(zip(rows, groups, strict=True)), desc=f"ranking by {name}", disable=None):
        given = log_probs_of_many(variants, name, row["prompt"], group)
        likelihood = list(map(mean, given))
        gain = [score - alone[reply] for score, reply in zip(likelihood, group, strict=True)]
        ranked.append(Ranked(given[0], metrics.hit(gain), metrics.hit(likelihood)))
    return ranked


def measure_variant(
    rows: list[DialoguePair],
    replies: list[Reply],
    ranked: list[Ranked],
    known: metrics.TrainingOverlap | None,
    seed: int,
) -> Metrics:
    """Metrics of one variant: likelihood and rank of the films' own replies, and the texts of the sampled ones."""
    n, films = len(rows), [film_reply(row) for row in rows]
    scores = [entry.log_probs for entry in ranked]
    return {
        "perplexity": metrics.perplexity(scores, seed),
        "perplexity_per_byte": metrics.perplexity_per_byte(scores, films, seed),
        "nats_per_byte": metrics.loss_per_byte(scores, films, seed),
        "text_nats_per_byte": metrics.loss_per_byte([one[:-1] for one in scores], films, seed),
        "end_nats": bootstrap_ratio([-one[-1] for one in scores], [1.0] * n, seed),
        "hits_pmi": wilson_interval(sum(entry.hit_pmi for entry in ranked), n),
        "hits_likelihood": wilson_interval(sum(entry.hit_likelihood for entry in ranked), n),
        "stop_rate": wilson_interval(sum(reply.finish_reason == STOP for reply in replies), n),
        "endoftext_rate": wilson_interval(sum(reply.finish_reason == PAD for reply in replies), n),
        **text_metrics([reply.text for reply in replies], known, seed),
    }


def text_metrics(texts: list[str], known: metrics.TrainingOverlap | None, seed: int) -> Metrics:
    """Text metrics (diversity, repetition, length, copying) of replies, be they a variant's or the films' own.

    Args:
        texts: the replies.
        known: what of them stands in training lines; None where those are not known, which is not the same as nothing.
        seed: of the bootstrap.
    """
    n = len(texts)
    low, middle, high = metrics.length_quantiles(texts)
    return {
        "empty_rate": wilson_interval(sum(not text.strip() for text in texts), n),
        "distinct_1": metrics.distinct(texts, 1),
        "distinct_2": metrics.distinct(texts, 2),
        "repeated_3": metrics.repeated(texts, 3, seed),
        "assistant_rate": wilson_interval(sum(map(metrics.assistant_speak, texts)), n),
        "explains_rate": wilson_interval(sum(map(metrics.explains_or_directs, texts)), n),
        "copied": metrics.copied(texts, known) if known else None,
        "overlap": metrics.overlap(texts, known, seed) if known else None,
        "words_10": low,
        "words_50": middle,
        "words_90": high,
    }


def distinct_at_equal_budget(texts: Mapping[str, list[str]], seed: int) -> dict[str, Metrics]:
    """Distinct-1 and distinct-2 of each variant's replies over as many n-grams as the one with the fewest has."""
    found: dict[str, Metrics] = {name: {} for name in texts}
    for n in (1, 2):
        budget = min(metrics.ngram_count(own, n) for own in texts.values())
        for name, own in texts.items():
            found[name][f"distinct_{n}_equal"] = metrics.distinct_at(own, n, budget, seed)
    return found


def paired_metrics(
    rows: list[DialoguePair], ranked: Mapping[str, list[Ranked]], seed: int
) -> dict[str, dict[str, Paired]]:
    """Paired differences of variants on the same prompts: cluster bootstrap over films, p-values adjusted (Holm)."""
    films = [row["movie_id"] for row in rows]
    sizes = [float(len(film_reply(row).encode())) for row in rows]
    measured: dict[str, tuple[Callable[[Ranked], float], list[float] | None]] = {
        "hits_pmi": (lambda entry: float(entry.hit_pmi), None),
        "hits_likelihood": (lambda entry: float(entry.hit_likelihood), None),
        "nats_per_byte": (lambda entry: -sum(entry.log_probs), sizes),
    }
    pairs = [pair for pair in PAIRS if set(pair) <= set(ranked)]
    found: dict[str, dict[str, Paired]] = {f"{first} - {second}": {} for first, second in pairs}
    for name, (value, weights) in measured.items():
        differences = [
            paired_difference(list(map(value, ranked[first])), list(map(value, ranked[second])), films, seed, weights)
            for first, second in pairs
        ]
        for pair, one, p in zip(found, differences, holm_correction([one.p_value for one in differences]), strict=True):
            found[pair][name] = one._replace(p_value=p)
    return found


class Compared(NamedTuple):
    """Pairwise comparison of two variants by a judge."""

    preference: metrics.WinRate
    first_better: list[list[float]]
    """Per prompt, the judge's probability that the first variant's response is better: shown first, shown second."""
    p_value: float
    """That wins and losses, films being the units, could be chance."""


def compare_replies(judge: Judge, rows: list[DialoguePair], first: list[Reply], second: list[Reply]) -> Compared:
    """Pairwise comparison in both orders, averaged; the same text from both is a tie."""
    items = [(row["prompt"], a.text, b.text) for row, a, b in zip(rows, first, second, strict=True)]
    ahead = judge.compare(items)
    behind = [1 - p for p in judge.compare([(prompt, b, a) for prompt, a, b in items])]
    orders = [list(pair) for pair in zip(ahead, behind, strict=True)]
    averages, same = [mean(pair) for pair in orders], [a == b for _, a, b in items]
    won = [0.0 if tie else float(p > 0.5) - float(p < 0.5) for p, tie in zip(averages, same, strict=True)]
    films = [row["movie_id"] for row in rows]
    p_value = paired_difference(won, [0.0] * len(won), films).p_value
    return Compared(metrics.win_rate(averages, same), orders, p_value)


def mean(values: list[float]) -> float:
    """Arithmetic mean."""
    return sum(values) / len(values)
