"""Batched generation with transformers: many prompts, any variant in any row, one `generate`."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from chat.sampling import Sampling
from chat.template import PAD, STOP, Message, encode_prompt, stop_ids
from chat.variants import ModelVariants


class FinishReason(StrEnum):
    """Finish reason of a reply: the stop token that ended it, or the limit; the values are what is published."""

    END_OF_TURN = STOP
    """The model's own end of turn."""
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


def generate(
    variants: ModelVariants,
    prompts: list[list[Message]],
    names: list[str],
    sampling: Sampling,
    seed: int | None = None,
    batch_size: int = 32,
) -> list[Reply]:
    """Generates a reply to each prompt by the variant named beside it, in padded batches.

    Prompts go in batches of like length and come back in the order given. With a seed the answers are reproducible:
    each batch is seeded by it and by the batch's offset. Raises ValueError for an unknown variant.
    """
    if len(prompts) != len(names):
        raise ValueError(f"{len(prompts)} prompts and {len(names)} names of variants; each prompt takes one")
    encoded = [encode_prompt(variants.tokenizer, prompt) for prompt in prompts]
    order = sorted(range(len(encoded)), key=lambda index: len(encoded[index]))
    seed = secrets.randbits(32) if seed is None else seed
    replies: dict[int, Reply] = {}
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        rows, batch_names = [encoded[index] for index in batch], [names[index] for index in batch]
        for index, ids in zip(batch, sample(variants, rows, batch_names, sampling, seed, start), strict=True):
            replies[index] = read_reply(variants.tokenizer, ids)
    return [replies[index] for index in range(len(prompts))]


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
            **generate_kwargs(variants, sampling),
            **variants.adapter_names(names),
            **options,
        )
    continued: list[list[int]] = output[:, tokens.shape[1] :].tolist()
    return continued


def generate_kwargs(variants: ModelVariants, sampling: Sampling) -> dict[str, Any]:
    """Sampling and the two stop tokens, as arguments of transformers' `generate`."""
    return sampling.to_generate_kwargs() | {
        "eos_token_id": list(stop_ids(variants.tokenizer).values()),
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
    """Cuts generated ids at the first stop token, which is the finish reason."""
    names = {stop: name for name, stop in stop_ids(tokenizer).items()}
    for position, token in enumerate(ids):
        if token in names:
            return Reply(_decode(tokenizer, ids[:position]), FinishReason(names[token]), position + 1)
    return Reply(_decode(tokenizer, ids), FinishReason.LENGTH, len(ids))


def _decode(tokenizer: Any, ids: list[int]) -> str:
    """Text without outer white space, and without a character at its end whose last bytes are still missing."""
    text: str = tokenizer.decode(ids, skip_special_tokens=True)
    return text.rstrip("\ufffd").strip()
