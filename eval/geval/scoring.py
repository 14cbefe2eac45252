"""G-Eval scoring: a score on a criterion's scale out of the probabilities of an answer, or out of sampled answers.

Source: Liu et al., "G-Eval: NLG Evaluation using GPT-4 with Better Human Alignment", EMNLP 2023. Their equation 1
weights each score by its probability. Here the probabilities are those of the answer's one token, spellings of a score
summed and made to sum to 1; the part that they had is kept as `mass`. What lies below the mass floor is no score: it is
the tail of an answer that says something else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from eval.geval.criteria import Scale
from eval.judge.messages import MASS_FLOOR, Answer, TopLogprobs, begins_refusal, distribution

SAMPLES = 20  # of an endpoint without log-probabilities, as in the paper
FIVE_POINTS = Scale()
_OTHER = re.compile(r"\d+(?:[.,]\d+)?")


class GevalScore(NamedTuple):
    """G-Eval score of one response by one criterion."""

    value: float
    """On the criterion's scale."""
    mass: float
    """Of the probability seen, the part that fell on scores; of samples, the share that could be read."""


class ScoreReading(NamedTuple):
    """Reading of one answer: a score, or why there is none."""

    score: float | None
    """None where it is unscored."""
    mass: float
    refused: bool
    """Unscored, and the answer is a refusal or begins as one does."""


def read_answer(answer: Answer, scale: Scale, by_token: bool, floor: float = MASS_FLOOR) -> ScoreReading:
    """Reading of an answer; below the mass floor it is unscored.

    Args:
        answer: with the texts of all samples.
        scale: of the criterion.
        by_token: whether the score is one token, with its log-probabilities; else the samples are read.
        floor: the least mass of a score.
    """
    found = weighted_mean(answer.first, scale) if by_token else mean_of_samples(answer.texts, scale)
    if found and found.mass >= floor:
        return ScoreReading(found.value, found.mass, False)
    if by_token:
        likeliest = max(answer.first, key=lambda entry: entry[1], default=("", 0.0))[0]
        refused = begins_refusal(likeliest)
    else:
        unread = [text for text in answer.texts if parse_score(text, scale) is None]
        refused = 2 * sum(map(begins_refusal, unread)) > len(unread)
    return ScoreReading(None, found.mass if found else 0.0, answer.refused or refused)


def weighted_mean(top_logprobs: TopLogprobs, scale: Scale = FIVE_POINTS) -> GevalScore | None:
    """Probability-weighted mean of the scores among a token's top log-probabilities; None where there is none."""
    found = distribution(top_logprobs, scale.labels)
    return GevalScore(found.mean(), found.mass) if found else None


def mean_of_samples(texts: Sequence[str], scale: Scale = FIVE_POINTS) -> GevalScore | None:
    """Mean of the scores that can be read in sampled answers; None where none can."""
    read = [score for text in texts if (score := parse_score(text, scale)) is not None]
    return GevalScore(sum(read) / len(read), len(read) / len(texts)) if read else None


def parse_score(text: str, scale: Scale = FIVE_POINTS) -> int | None:
    """Score that an answer gives as text; None where it gives none, or several, or a number that is no score.

    On a scale of 1 to 5 "4", "Score: 4", "**4/5**" and "4 out of 5" are 4; "10", "3.5", "3 or 4" and "3-4" are
    unscored: an answer that has to be guessed at is missing, never a number.
    """
    number = score_pattern(scale)
    scores = {int(found[1]) for found in number.finditer(text)}
    left = number.sub(" ", text)
    return scores.pop() if len(scores) == 1 and not _OTHER.search(left) else None


@lru_cache
def score_pattern(scale: Scale) -> re.Pattern[str]:
    """Regular expression of a score on a scale, with its "/5" or "out of 5"."""
    labels = "|".join(reversed(scale.labels))  # the longest first
    return re.compile(
        rf"(?<![\w.,/])({labels})(?:\.0)?(?:\s*(?:/|out of)\s*{scale.high})?(?![\w/]|[.,]\d)", re.IGNORECASE
    )
