"""Typed rows: the columns of the published responses and scores, and of the dialogue pairs that they answer."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NotRequired, TypedDict

from chat.template import Message

RESPONSE_VARIANTS = ("base", "sft", "dpo", "rl")
"""Variants that an evaluation set may have a column of, in its order."""
PAIRS = (("sft", "base"), ("dpo", "sft"))
"""Pairs that are compared: does the first of each answer better than the second?"""
CONTROLS = ("film", "shuffled")
"""Controls beside the variants: the film's own reply (ceiling), and another film's (floor)."""


def compared_pairs(names: Collection[str]) -> list[tuple[str, str]]:
    """Pairs that a judge compares, of variants and controls: PAIRS, then those that tell what the judge is worth."""
    film, shuffled = CONTROLS
    variants = [name for name in RESPONSE_VARIANTS if name in names]
    control = [(film, name) for name in variants] + [(name, shuffled) for name in variants] + [(film, shuffled)]
    return [pair for pair in (*PAIRS, *control) if set(pair) <= set(names)]


class DialoguePair(TypedDict):
    """Row of the dialogue dataset: a prompt and the film's own reply, in TRL's prompt-completion form."""

    prompt: list[Message]
    completion: list[Message]
    movie_id: str
    movie_title: str
    conversation_id: str
    line_ids: list[str]
    source: NotRequired[str]
    """The corpus that it is from."""


def places_by_source(sources: Sequence[str]) -> dict[str, list[int]]:
    """The places of the rows of each source, sources in alphabetical order."""
    places: dict[str, list[int]] = {source: [] for source in sorted(set(sources))}
    for place, source in enumerate(sources):
        places[source].append(place)
    return places


def film_reply(row: DialoguePair) -> str:
    """The film's own reply."""
    return row["completion"][0]["content"]


class ScoreRow(TypedDict):
    """Row of the G-Eval scores: one response by one criterion."""

    item: int
    """Row number of the prompt in the evaluation set."""
    movie_id: str
    voice: str
    """The variant, or the control."""
    criterion: str
    score: float | None
    """On the criterion's scale; None where it is unscored."""
    mass: float
    """Of the probability that was seen, the part on scores; of samples, the share that could be read."""
    refused: bool
    """Whether it is unscored because the judge refused."""
    alternatives: str
    """Top log-probabilities of the score's token, as JSON."""
    samples: list[str]


@dataclass(frozen=True)
class VariantResponse:
    """Column of one variant in a response: its reply, and how it ranks the film's own."""

    text: str
    """Its first line, which is what is compared, judged and shown."""
    ended: str
    """`<|im_end|>`, `<|endoftext|>` or `length`; of plain lines, `<|im_end|>` is the line's end."""
    tokens: int
    """Generated, the end token included."""
    film_reply_nats: float
    """Negative log-likelihood of the film's reply, its end included."""
    film_reply_tokens: int
    """Of the film's reply, and one for its end."""
    hit_pmi: bool
    """Whether the film's reply comes first among its distractors by PMI,"""
    hit_likelihood: bool
    """and by mean log-likelihood."""
    film_reply_end_nats: float | None = None
    """Negative log-likelihood of the film's reply's end alone; None in evaluation sets of before."""
    uncut: str | None = None
    """All that it said; None in evaluation sets of before."""

    @property
    def film_reply_text_nats(self) -> float:
        """Negative log-likelihood of the film's reply without its end; NaN where that is not known."""
        return self.film_reply_nats - (math.nan if self.film_reply_end_nats is None else self.film_reply_end_nats)


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
    shuffled_reply: str | None = None
    """Another film's reply of like length; None where there is no other film, and in evaluation sets of before."""

    @property
    def controls(self) -> dict[str, str]:
        """Replies of the controls that it has, in the order of CONTROLS."""
        found = dict(zip(CONTROLS, (self.film_reply, self.shuffled_reply), strict=True))
        return {name: text for name, text in found.items() if text is not None}

    @property
    def sheet_id(self) -> str:
        """The prompt's id on raters' sheets."""
        return "-".join(self.line_ids)

    def to_row(self) -> dict[str, Any]:
        """The row as it is published."""
        return {
            "prompt": self.prompt,
            "film_reply": self.film_reply,
            "shuffled_reply": self.shuffled_reply,
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
            shuffled_reply=row.get("shuffled_reply"),
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
