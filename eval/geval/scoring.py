"""G-Eval scoring: a score from 1 to 5 out of the probabilities of an answer, or out of sampled answers.

Source: Liu et al., "G-Eval: NLG Evaluation using GPT-4 with Better Human Alignment", EMNLP 2023. Their equation 1
weights each score by its probability. Here the probabilities are those of the answer's one token, spellings of a score
summed and made to sum to 1; the part that they had is kept as `mass`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from eval.judge.messages import TopLogprobs, distribution

SCORE_LABELS = "12345"
LOW_MASS = 0.9
SAMPLES = 20  # of an endpoint without log-probabilities, as in the paper
_NUMBER = re.compile(r"(?<![\w.,/])([1-5])(?:\.0)?(?:\s*(?:/|out of)\s*5)?(?![\w/]|[.,]\d)", re.IGNORECASE)
_OTHER = re.compile(r"\d+(?:[.,]\d+)?")


class GevalScore(NamedTuple):
    """G-Eval score of one response by one criterion."""

    value: float
    """From 1 to 5."""
    mass: float
    """Of the probability seen, the part that fell on scores; of samples, the share that could be read."""


def weighted_mean(top_logprobs: TopLogprobs) -> GevalScore | None:
    """Probability-weighted mean of the scores among a token's top log-probabilities; None where there is none."""
    found = distribution(top_logprobs, SCORE_LABELS)
    return GevalScore(found.mean(), found.mass) if found else None


def mean_of_samples(texts: Sequence[str]) -> GevalScore | None:
    """Mean of the scores that can be read in sampled answers; None where none can."""
    read = [score for text in texts if (score := parse_score(text)) is not None]
    return GevalScore(sum(read) / len(read), len(read) / len(texts)) if read else None


def parse_score(text: str) -> int | None:
    """Score that an answer gives as text; None where it gives none, or several, or a number that is no score.

    "4", "Score: 4", "**4/5**" and "4 out of 5" are 4. "10", "3.5", "3 or 4" and "3-4" are unscored: an answer that has
    to be guessed at is missing, never a number.
    """
    scores = {int(found[1]) for found in _NUMBER.finditer(text)}
    left = _NUMBER.sub(" ", text)
    return scores.pop() if len(scores) == 1 and not _OTHER.search(left) else None
