"""From responses and likelihoods to figures: what is measured of each voice, and how voices compare."""

from __future__ import annotations

from typing import Any

from chat.generate import Reply
from chat.likelihood import log_probs, without_prompt
from chat.template import STOP
from chat.voices import Voices
from eval import metrics
from eval.judge import Judge

Row = dict[str, Any]
Figures = dict[str, Any]


def measure_voice(
    voices: Voices, name: str, rows: list[Row], replies: list[Reply], candidates: list[list[str]], seed: int
) -> Figures:
    """Perplexity and Hits@1 on the films' own replies, and the shape of the sampled ones."""
    true = [row["completion"][0]["content"] for row in rows]
    scored = log_probs(voices, name, [(row["prompt"], reply) for row, reply in zip(rows, true, strict=True)])
    by_pmi, by_likelihood = hits(voices, name, rows, true, candidates)
    texts = [reply.text for reply in replies]
    low, middle, high = metrics.length_quantiles(texts)
    return {
        "perplexity": metrics.bootstrap(scored, metrics.perplexity, seed),
        "nats_per_byte": metrics.nats_per_byte(scored, true),
        "hits_pmi": metrics.wilson(sum(by_pmi), len(by_pmi)),
        "hits_likelihood": metrics.wilson(sum(by_likelihood), len(by_likelihood)),
        "stop_rate": metrics.wilson(sum(reply.ended == STOP for reply in replies), len(replies)),
        "endoftext_rate": metrics.share([reply.ended == "<|endoftext|>" for reply in replies]),
        "empty_rate": metrics.share([not text for text in texts]),
        "distinct_1": metrics.distinct(texts, 1),
        "distinct_2": metrics.distinct(texts, 2),
        "words_10": low,
        "words_50": middle,
        "words_90": high,
    }


def hits(
    voices: Voices, name: str, rows: list[Row], true: list[str], candidates: list[list[str]]
) -> tuple[list[bool], list[bool]]:
    """Whether the true reply comes first among its distractors: by PMI, and by mean log-likelihood beside it."""
    pairs = [
        (row["prompt"], reply)
        for row, reply, others in zip(rows, true, candidates, strict=True)
        for reply in [reply, *others]
    ]
    given = log_probs(voices, name, pairs)
    alone_pairs = {reply: (without_prompt(prompt), reply) for prompt, reply in pairs}
    alone = dict(zip(alone_pairs, log_probs(voices, name, list(alone_pairs.values())), strict=True))
    likelihood = [sum(scores) / len(scores) for scores in given]
    gain = [mean - sum(alone[reply]) / len(alone[reply]) for mean, (_, reply) in zip(likelihood, pairs, strict=True)]
    by_pmi, by_likelihood, start = [], [], 0
    for others in candidates:
        end = start + 1 + len(others)
        by_pmi.append(metrics.hit(gain[start:end]))
        by_likelihood.append(metrics.hit(likelihood[start:end]))
        start = end
    return by_pmi, by_likelihood


def preferred(judge: Judge, rows: list[Row], first: list[Reply], second: list[Reply]) -> metrics.Estimate:
    """How often the judge prefers the first voice's response, both orders averaged; identical responses are ties."""
    items = [(row["prompt"], a.text, b.text) for row, a, b in zip(rows, first, second, strict=True)]
    ahead = judge.compare(items)
    swapped = judge.compare([(prompt, b, a) for prompt, a, b in items])
    wins = 0.0
    for (_, a, b), p_ahead, p_swapped in zip(items, ahead, swapped, strict=True):
        probability = (p_ahead + 1 - p_swapped) / 2
        wins += 0.5 if a == b or probability == 0.5 else float(probability > 0.5)
    return metrics.wilson(wins, len(items))
