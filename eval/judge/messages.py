"""Request, answer, and the label distribution in an answer's top log-probabilities. Pure functions."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

MASS_FLOOR = 0.5  # of the probability seen; labels with less together are the tail of another answer: unscored
LOW_MASS = 0.9  # below it the model would have liked to say something else: counted
TopLogprobs = Iterable[tuple[str, float]]
"""Tokens that could have stood at one place, with their log-probabilities in nats."""
_REFUSAL = re.compile(r"\W*(I|I['\u2019]m|As|Sorry|Unfortunately|Apologies)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Request:
    """Request to a chat model: everything that changes an answer, but the endpoint."""

    messages: tuple[tuple[str, str], ...]
    """Role and content."""
    max_tokens: int
    temperature: float = 0.0
    logprobs: int = 0
    """How many top log-probabilities to ask for with each token."""
    n: int = 1
    schema: str | None = None
    """JSON schema of the answer, as JSON."""
    salt: int = 0
    """Tells apart requests that are otherwise the same: the second sample of one prompt."""

    def key(self, *identity: str | None) -> str:
        """Cache key: sha256 over the request and who is asked (address, model, effort)."""
        return hashlib.sha256(json.dumps([asdict(self), identity], sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Answer:
    """Answer to a request, as it is cached."""

    texts: tuple[str, ...]
    """One for each of the `n` samples."""
    first: tuple[tuple[str, float], ...] = ()
    """Top log-probabilities of the first text's first token, in nats, as they came."""
    prompt_tokens: int = 0
    answer_tokens: int = 0
    estimated: bool = False
    """Whether the endpoint did not count the tokens: they are the most that the request could take."""
    model: str = ""
    """As the endpoint names what answered."""
    refused: bool = False
    """Whether the endpoint itself marked it as a refusal or filtered it."""

    def to_json(self) -> str:
        """The answer as one JSON object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Answer:
        """Reads what `to_json` wrote."""
        content: dict[str, Any] = json.loads(text)
        first = tuple((str(token), float(value)) for token, value in content.pop("first"))
        return cls(**{**content, "texts": tuple(content["texts"])}, first=first)


@dataclass(frozen=True)
class Distribution:
    """Label distribution: probabilities of the labels that were offered, summing to 1."""

    probabilities: dict[str, float]
    mass: float
    """What the labels had together of the probability that was seen, before they were made to sum to 1. A small one
    says that the judge wanted to say something else."""

    def mean(self) -> float:
        """The probability-weighted mean of labels that are numbers (G-Eval, Liu et al., 2023, equation 1)."""
        return sum(float(label) * p for label, p in self.probabilities.items())


def distribution(top_logprobs: TopLogprobs, labels: Sequence[str]) -> Distribution | None:
    """Label distribution from the top log-probabilities of one token; None where no label is among them.

    White space around a token does not count (" A" is "A"), and tokens that come to the same label are summed, not
    overwritten (deepeval#853). Only a whole label counts: "10" is no "1" (UltraFeedback#8).
    """
    sums = dict.fromkeys(labels, 0.0)
    for token, value in top_logprobs:
        if (label := token.strip()) in sums:
            sums[label] += math.exp(value)
    mass = sum(sums.values())
    return Distribution({label: p / mass for label, p in sums.items()}, mass) if mass > 0 else None


def read_label(text: str, labels: Sequence[str]) -> str | None:
    """The label that a text is, with signs and white space around it; None where it is none of them."""
    found = re.fullmatch(rf"\W*({'|'.join(map(re.escape, labels))})\W*", text)
    return found[1] if found else None


def begins_refusal(text: str) -> bool:
    """Whether a text, or its first token, begins as refusals do: I, I'm, As, Sorry, Unfortunately, Apologies.

    For answers that were to be a label alone. One token cannot tell "I can't" from "I would say": either is no label.
    """
    return bool(_REFUSAL.match(text))
