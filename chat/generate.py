"""Batched generation with transformers: many prompts, any variant in any row, one `generate`."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from chat.reply_format import ChatTurns, ReplyFormat
from chat.sampling import Sampling
from chat.template import PAD, STOP, Message
from chat.variants import ModelVariants


class FinishReason(StrEnum):
    """Finish reason of a reply: the stop token that ended it, or the limit; the values are what is published."""

    END_OF_TURN = STOP
    """The model's own end of turn; in plain lines, the end of its line."""
    END_OF_TEXT = PAD
    """The end of a document, which is no end of a turn."""
    LENGTH = "length"
    """Cut at `max_new_tokens`."""
    UNNAMED_STOP = "stop"
    """A stop token, by a server that does not say which."""


@dataclass(frozen=True)
class Reply:
    """A finished reply."""

    text: str
    finish_reason: FinishReason
    tokens: int
    """How many were generated, the end token included."""

    def to_row(self) -> dict[str, Any]:
        """As files and datasets hold it: text, ended, tokens."""
        return {"text": self.text, "ended": str(self.finish_reason), "tokens": self.tokens}

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Reply:
        """The inverse of `to_row`. Raises KeyError or ValueError for what is no reply."""
        return cls(row["text"], FinishReason(row["ended"]), row["tokens"])


@dataclass(frozen=True)
class Partial:
    """A reply while it streams."""

    text: str
    done: bool
    finish_reason: FinishReason | None
    """None until the reply is done."""
    tokens: int
    waiting: bool = False
    """Whether it waits for a server that is starting."""


def first_turn(text: str) -> str:
    """First turn of what a model said: its first line that is not empty, where one is whole or still grows.

    A film's reply is one line, and the next line is the next speaker's. One rule for everybody: who stops by himself
    loses nothing.
    """
    return next(filter(None, (line.strip() for line in text.splitlines())), "")


def generate(
    variants: ModelVariants,
    prompts: list[list[Message]],
    names: list[str],
    sampling: Sampling,
    seed: int | None = None,
    batch_size: int = 32,
) -> list[Reply]:
    """Generates a reply to each prompt by the variant named beside it, in padded batches.

    Prompts go in batches of like length and of one reply format, and come back in the order given. With a seed the
    answers are reproducible: each batch is seeded by it and by the batch's offset. Raises ValueError for an unknown
    variant.
    """
    if len(prompts) != len(names):
        raise ValueError(f"{len(prompts)} prompts and {len(names)} names of variants; each prompt takes one")
    forms = [variants.format_of(name) for name in names]
    encoded = [form.encode_prompt(prompt) for form, prompt in zip(forms, prompts, strict=True)]
    seed = secrets.randbits(32) if seed is None else seed
    replies: dict[int, Reply] = {}
    for form, batch in _batches(forms, encoded, batch_size):
        rows, batch_names = [encoded[index] for index in batch], [names[index] for index in batch]
        stops: dict[str, Any] = {"eos_token_id": list(form.stop_names())}
        if never := form.never_first():
            stops["begin_suppress_tokens"] = never
        continued = sample(variants, rows, batch_names, sampling, seed, len(replies), **stops)
        replies |= {
            index: read_formatted(form, variants.tokenizer, ids) for index, ids in zip(batch, continued, strict=True)
        }
    return [replies[index] for index in range(len(prompts))]


def _batches(
    forms: Sequence[ReplyFormat], encoded: Sequence[list[int]], size: int
) -> Iterator[tuple[ReplyFormat, list[int]]]:
    """Places of prompts in batches of one format and of like length."""
    for form in dict.fromkeys(forms):
        own = [index for index, other in enumerate(forms) if other == form]
        own.sort(key=lambda index: len(encoded[index]))
        yield from ((form, own[start : start + size]) for start in range(0, len(own), size))


def sample(
    variants: ModelVariants,
    rows: list[list[int]],
    names: list[str],
    sampling: Sampling,
    seed: int,
    batch_index: int = 0,
    **options: Any,
) -> list[list[int]]:
    """Continues encoded prompts in one batch; returns each row's new ids, with padding after its end.

    Args:
        variants: the models.
        rows: prompt ids of each row.
        names: the variant of each row.
        sampling: of all rows.
        seed: of the run. The random state of the process is put back afterwards.
        batch_index: of the batch within the run; together with `seed` it seeds the sampling.
        options: further arguments of transformers' `generate`, such as a streamer.
    """
    import torch

    tokens, mask = left_padded(rows, variants)
    devices = range(torch.cuda.device_count())
    with variants.exclusive() as model, torch.random.fork_rng(devices=devices), torch.inference_mode():
        torch.manual_seed((seed * 1_000_003 + batch_index) % 2**63)
        output = model.generate(
            input_ids=tokens,
            attention_mask=mask,
            **(generate_kwargs(variants, sampling) | variants.adapter_names(names) | options),
        )
    continued: list[list[int]] = output[:, tokens.shape[1] :].tolist()
    return continued


def generate_kwargs(variants: ModelVariants, sampling: Sampling) -> dict[str, Any]:
    """Sampling and the two stop tokens, as arguments of transformers' `generate`."""
    return sampling.to_generate_kwargs() | {
        "eos_token_id": list(ChatTurns(variants.tokenizer).stop_names()),
        "pad_token_id": variants.tokenizer.pad_token_id,
    }


def left_padded(rows: list[list[int]], variants: ModelVariants) -> tuple[Any, Any]:
    """Left padding: returns token ids and attention mask, both (rows, longest)."""
    import torch

    width, pad = max(map(len, rows)), variants.tokenizer.pad_token_id
    tokens = torch.tensor([[pad] * (width - len(row)) + row for row in rows], device=variants.model.device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=variants.model.device)
    return tokens, mask


def read_reply(tokenizer: Any, ids: list[int]) -> Reply:
    """Cuts generated ids at the first stop token of the chat format, which is the finish reason."""
    return read_formatted(ChatTurns(tokenizer), tokenizer, ids)


def read_formatted(form: ReplyFormat, tokenizer: Any, ids: list[int]) -> Reply:
    """Cuts generated ids at the first stop token of a reply format, which is the finish reason."""
    names = form.stop_names()
    for position, token in enumerate(ids):
        if token in names:
            text = _decode(tokenizer, ids[: position + form.stop_is_text])
            return Reply(text, FinishReason(names[token]), position + 1)
    return Reply(_decode(tokenizer, ids), FinishReason.LENGTH, len(ids))


def _decode(tokenizer: Any, ids: list[int]) -> str:
    """Text without outer white space, and without a character at its end whose last bytes are still missing."""
    text: str = tokenizer.decode(ids, skip_special_tokens=True)
    return text.rstrip("\ufffd").strip()
