"""Metrics of each variant from its replies and likelihoods, and paired comparisons of variants."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from chat.generate import Reply
from chat.likelihood import without_prompt
from chat.template import PAD, STOP
from chat.variants import ModelVariants
from eval import metrics
from eval.judge.comparison import Judge, compare_in_both_orders
from eval.ranking import log_probs_of_many
from eval.rows import PAIRS, DialoguePair, film_reply, places_by_source
from stats.clustered import ClusterEstimate, clustered_mean, clustered_share, paired_difference

Metrics = dict[str, ClusterEstimate | float | None]
"""By name; None where there is nothing to measure."""
SOURCE_METRICS = ("text_nats_per_byte", "hits_pmi", "hits_likelihood", "stop_rate", "words_50")
"""What is measured on each source's prompts alone."""


class Ranked(NamedTuple):
    """Rank of the film's own reply to one prompt under one variant."""

    log_probs: list[float]
    """In nats, of each token, and last of the reply's end."""
    hit_pmi: bool
    """Whether it comes first among its distractors by PMI under this variant,"""
    hit_likelihood: bool
    """and by mean log-likelihood, which favours bland replies."""


def rank(
    variants: ModelVariants, name: str, rows: list[DialoguePair], candidates: list[list[str]], path: Path
) -> list[Ranked]:
    """Hits@1 of the film's reply to each prompt among its distractors, by PMI and by likelihood.

    log p(reply | empty prompt) is found once for each reply, however many prompts it stands beside.

    Args:
        variants: the models.
        name: the variant that ranks.
        rows: the prompts with the films' replies.
        candidates: distractors of each.
        path: JSON lines, one rank each, from which a run that was killed carries on.

    Raises:
        ValueError: the prompts have different system messages: then there is no one empty prompt.
    """
    groups = [[film_reply(row), *others] for row, others in zip(rows, candidates, strict=True)]
    empty = without_prompt(rows[0]["prompt"])
    if any(without_prompt(row["prompt"]) != empty for row in rows):
        raise ValueError("the prompts have different system messages")
    ranked = _kept_ranks(path)
    left = list(zip(rows, groups, strict=True))[len(ranked) :]
    replies = list(dict.fromkeys(reply for _, group in left for reply in group))
    alone = dict(zip(replies, map(sum, log_probs_of_many(variants, name, empty, replies)), strict=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        file.writelines(map(_rank_line, ranked))
        for row, group in tqdm(left, desc=f"ranking by {name}", disable=None):
            given = log_probs_of_many(variants, name, row["prompt"], group)
            gain = [sum(scores) - alone[reply] for scores, reply in zip(given, group, strict=True)]
            ranked.append(Ranked(given[0], metrics.hit(gain), metrics.hit(list(map(mean, given)))))
            file.write(_rank_line(ranked[-1]))
            file.flush()
    return ranked


def _rank_line(one: Ranked) -> str:
    return json.dumps(one) + "\n"


def _kept_ranks(path: Path) -> list[Ranked]:
    """Ranks of a run that was killed; a line that it did not end is none."""
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [Ranked(*json.loads(line)) for line in lines]


def measure_variant(
    rows: list[DialoguePair],
    replies: list[Reply],
    ranked: list[Ranked],
    known: metrics.TrainingOverlap | None,
) -> Metrics:
    """Metrics of one variant: likelihood and rank of the films' own replies, and the texts of the sampled ones."""
    own, films = [film_reply(row) for row in rows], films_of(rows)
    scores = [entry.log_probs for entry in ranked]
    return {
        "text_nats_per_byte": metrics.loss_per_byte([one[:-1] for one in scores], own, films),
        "end_nats": clustered_mean([-one[-1] for one in scores], films),
        "nats_per_byte": metrics.loss_per_byte(scores, own, films),
        "perplexity": metrics.perplexity(scores, films),
        "perplexity_per_byte": metrics.perplexity_per_byte(scores, own, films),
        "hits_pmi": clustered_share([entry.hit_pmi for entry in ranked], films),
        "hits_likelihood": clustered_share([entry.hit_likelihood for entry in ranked], films),
        "stop_rate": clustered_share([reply.finish_reason == STOP for reply in replies], films),
        "endoftext_rate": clustered_share([reply.finish_reason == PAD for reply in replies], films),
        **text_metrics([reply.text for reply in replies], known, films),
    }


def measure_by_source(
    rows: list[DialoguePair], answers: Mapping[str, tuple[list[Reply], list[Ranked]]]
) -> dict[str, dict[str, Any]]:
    """Metrics of each variant on the prompts of each source alone: whom did more data help?

    Args:
        rows: the prompts.
        answers: replies and ranks of each variant.

    Returns:
        By source: `prompts`, `films`, and SOURCE_METRICS by variant in `voices`. Empty where there is one source alone.
    """
    places = places_by_source([row.get("source", "") for row in rows])
    if len(places) < 2:
        return {}
    found = {}
    for source, own in places.items():
        pairs = [rows[index] for index in own]
        measured = {
            name: measure_variant(pairs, [replies[i] for i in own], [ranked[i] for i in own], None)
            for name, (replies, ranked) in answers.items()
        }
        voices = {name: {key: metrics[key] for key in SOURCE_METRICS} for name, metrics in measured.items()}
        found[source] = {"prompts": len(own), "films": len(set(films_of(pairs))), "voices": voices}
    return found


def text_metrics(texts: list[str], known: metrics.TrainingOverlap | None, films: list[str]) -> Metrics:
    """Text metrics (diversity, repetition, length, copying) of replies, be they a variant's or the films' own.

    Args:
        texts: the replies.
        known: what of them stands in training lines; None where those are not known, which is not the same as nothing.
        films: of each reply, the film of its prompt.
    """
    low, middle, high = metrics.length_quantiles(texts)
    return {
        "empty_rate": clustered_share([not text.strip() for text in texts], films),
        "distinct_1": metrics.distinct(texts, 1),
        "distinct_2": metrics.distinct(texts, 2),
        "repeated_3": metrics.repeated(texts, 3, films),
        "assistant_rate": clustered_share(list(map(metrics.assistant_speak, texts)), films),
        "explains_rate": clustered_share(list(map(metrics.explains_or_directs, texts)), films),
        "copied": metrics.copied(texts, known, films) if known else None,
        "overlap": metrics.overlap(texts, known, films) if known else None,
        "words_10": low,
        "words_50": middle,
        "words_90": high,
    }


def score_metrics(scores: Sequence[float], films: list[str]) -> Metrics:
    """Mean and low-score tail of an embedded judge's scores of one variant's replies."""
    tail = {f"judge_{100 * q:.0f}": float(np.quantile(scores, q)) for q in metrics.LOW_TAIL}
    return {"judge_mean": clustered_mean(scores, films), **tail}


def distinct_at_equal_budget(texts: Mapping[str, list[str]], seed: int) -> dict[str, Metrics]:
    """Distinct-1 and distinct-2 of each variant's replies over as many n-grams as the one with the fewest has."""
    found: dict[str, Metrics] = {name: {} for name in texts}
    for n in (1, 2):
        budget = min(metrics.ngram_count(own, n) for own in texts.values())
        for name, own in texts.items():
            found[name][f"distinct_{n}_equal"] = metrics.distinct_at(own, n, budget, seed)
    return found


def paired_metrics(
    rows: list[DialoguePair], ranked: Mapping[str, list[Ranked]]
) -> dict[str, dict[str, ClusterEstimate]]:
    """Paired differences of variants on the same prompts, clustered by film; p-values are not adjusted yet."""
    films = films_of(rows)
    sizes = [float(len(film_reply(row).encode())) for row in rows]
    measured: dict[str, tuple[Callable[[Ranked], float], list[float] | None]] = {
        "hits_pmi": (lambda entry: float(entry.hit_pmi), None),
        "hits_likelihood": (lambda entry: float(entry.hit_likelihood), None),
        "text_nats_per_byte": (lambda entry: -sum(entry.log_probs[:-1]), sizes),
    }
    return {
        f"{first} - {second}": {
            name: paired_difference(list(map(value, ranked[first])), list(map(value, ranked[second])), films, weights)
            for name, (value, weights) in measured.items()
        }
        for first, second in PAIRS
        if {first, second} <= set(ranked)
    }


class Compared(NamedTuple):
    """Pairwise comparison of two variants by a judge."""

    preference: metrics.WinRate
    first_better: list[list[float]]
    """Per prompt, the judge's probability that the first variant's response is better: shown first, shown second."""


def compare_replies(judge: Judge, rows: list[DialoguePair], first: list[str], second: list[str]) -> Compared:
    """Pairwise comparison in both orders, averaged; the same text from both is a tie."""
    items = [(row["prompt"], a, b) for row, a, b in zip(rows, first, second, strict=True)]
    orders = [[ahead, 1 - swapped] for ahead, swapped in compare_in_both_orders(judge, items)]
    averages, same = [mean(pair) for pair in orders], [a == b for _, a, b in items]
    return Compared(metrics.win_rate(averages, same, films_of(rows)), orders)


def films_of(rows: list[DialoguePair]) -> list[str]:
    """The film of each prompt."""
    return [row["movie_id"] for row in rows]


def mean(values: list[float]) -> float:
    """Arithmetic mean."""
    return sum(values) / len(values)
