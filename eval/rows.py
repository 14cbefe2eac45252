"""Typed rows: the columns of the published responses and scores, and of the dialogue pairs that they answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypedDict

from chat.template import Message

RESPONSE_VARIANTS = ("base", "sft", "dpo", "rl")
"""Variants that an evaluation set may have a column of, in its order."""
PAIRS = (("sft", "base"), ("dpo", "sft"))
"""Pairs that are compared: does the first of each answer better than the second?"""


class DialoguePair(TypedDict):
    """Row of the dialogue dataset: a prompt and the film's own reply, in TRL's prompt-completion form."""

    prompt: list[Message]
    completion: list[Message]
    movie_id: str
    movie_title: str
    conversation_id: str
    line_ids: list[str]


class ScoreRow(TypedDict):
    """Row of the G-Eval scores: one response by one criterion."""

    item: int
    """Row number of the prompt in the evaluation set."""
    voice: str
    """The variant."""
    criterion: str
    score: float | None
    """From 1 to 5; None where it is unscored."""
    mass: float
    alternatives: str
    """Top log-probabilities of the score's token, as JSON."""
    samples: list[str]


@dataclass(frozen=True)
class VariantResponse:
    """Column of one variant in a response: its reply, and how it ranks the film's own."""

    text: str
    ended: str
    """`<|im_end|>`, `<|endoftext|>` or `length`."""
    tokens: int
    """Generated, the end token included."""
    film_reply_nats: float
    """Negative log-likelihood of the film's reply, its end token included."""
    film_reply_tokens: int
    hit_pmi: bool
    """Whether the film's reply comes first among its distractors by PMI,"""
    hit_likelihood: bool
    """and by mean log-likelihood."""
    film_reply_end_nats: float | None = None
    """Negative log-likelihood of the film's reply's end token alone; None in evaluation sets of before."""


@dataclass(frozen=True)
class Response:
    """Row of the published responses: a prompt, what every variant answered, and what is measured of it."""

    prompt: list[Message]
    film_reply: str
    movie_id: str
    movie_title: str
    conversation_id: str
    line_ids: list[str]
    distractors: list[str]
    """Wrong candidates beside the film's reply."""
    variants: Mapping[str, VariantResponse]
    """By variant; each is a column of its own."""
    first_better: Mapping[str, Sequence[float]]
    """By pair (`dpo over sft`), P(the first is better) in both orders: shown first, shown second."""

    @property
    def sheet_id(self) -> str:
        """The prompt's id on raters' sheets."""
        return "-".join(self.line_ids)

    def to_row(self) -> dict[str, Any]:
        """The row as it is published."""
        return {
            "prompt": self.prompt,
            "film_reply": self.film_reply,
            "movie_id": self.movie_id,
            "movie_title": self.movie_title,
            "conversation_id": self.conversation_id,
            "line_ids": self.line_ids,
            "distractors": self.distractors,
            **{name: asdict(response) for name, response in self.variants.items()},
            "first_better": {pair: list(orders) for pair, orders in self.first_better.items()},
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Response:
        """Reads what `to_row` made, after it went through parquet. Raises KeyError where a column is missing."""
        return cls(
            prompt=[{"role": turn["role"], "content": turn["content"]} for turn in row["prompt"]],
            film_reply=row["film_reply"],
            movie_id=row["movie_id"],
            movie_title=row["movie_title"],
            conversation_id=row["conversation_id"],
            line_ids=list(row["line_ids"]),
            distractors=list(row["distractors"]),
            variants={name: VariantResponse(**row[name]) for name in RESPONSE_VARIANTS if name in row},
            first_better=row["first_better"],
        )


def load_responses(repo: str, revision: str, count: int | None = None) -> list[Response]:
    """Responses of a published evaluation set, the first `count` of them, which were drawn at random; None: all.

    Raises:
        UserError: it has fewer.
    """
    from datasets import load_dataset

    from hub.errors import UserError

    rows = load_dataset(repo, "responses", split="test", revision=revision)
    if count and count > len(rows):
        raise UserError(f"{repo} has {len(rows):,} prompts, not {count:,}; give --prompts {len(rows)} or evaluate more")
    return [Response.from_row(row) for row in rows.select(range(len(rows) if count is None else count))]
