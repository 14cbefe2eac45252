"""Bulk generation on a CPU: the local decoder, many sequences in one continuous batch.

transformers' `generate` runs a batch until its longest row ends: with replies of 8 tokens and a limit of 64, most rows
of a step are padding. Here a sequence leaves when it ends and the next one takes its place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence as Items
from random import Random

import torch

from chat.engine.continuous_batch import ContinuousBatch, Sequence
from chat.engine.decoder import Decoder
from chat.engine.spec import unsupported_reason
from chat.generate import Reply, read_reply
from chat.reply_format import ChatTurns
from chat.sampling import Sampling
from chat.template import Message, encode_prompt, stop_ids
from chat.variants import ModelVariants, merged

BULK_ROWS = 64
"""Sequences in a batch: from about 32 on a step costs in proportion to its rows."""
REFILL = 16
"""Sequences that are admitted together: prompts of one length are read in one pass."""


class BulkDecoder:
    """Generator of many replies in the chat format; in float32 `chat.generate.generate` gives the same greedy ones.

    It computes in bf16 where float32 products are to be of medium precision (`chat.variants.set_matmul_precision`).

    Each variant that is asked has a decoder of its own, its adapter merged into a copy of the weights: rows that share
    one adapter need not look it up. What all prompts begin with is read once.

    Args:
        variants: models that `chat.engine.spec` has a form for.
    """

    def __init__(self, variants: ModelVariants) -> None:
        self.variants = variants
        self._decoders: dict[str, Decoder] = {}

    def replies(self, prompts: list[list[Message]], names: list[str], sampling: Sampling, seed: int) -> list[Reply]:
        """Generates one reply to each prompt, in order, by the variant named beside it.

        Each has a random generator of its own, by the seed and its place, so that no reply depends on the others.

        Raises:
            ValueError: a prompt leaves too little room in the model's context.
        """
        tokenizer = self.variants.tokenizer
        rows = [
            Sequence(encode_prompt(tokenizer, prompt), name, sampling, Random(f"{seed} {place}"))
            for place, (prompt, name) in enumerate(zip(prompts, names, strict=True))
        ]
        for name in dict.fromkeys(names):
            self._generate(name, [row for row in rows if row.variant == name])
        return [read_reply(tokenizer, row.reply) for row in rows]

    def _generate(self, name: str, rows: list[Sequence]) -> None:
        """Generates the replies of one variant's rows."""
        if name not in self._decoders:
            precision = "bf16" if torch.get_float32_matmul_precision() == "medium" else "float32"
            self._decoders[name] = Decoder(merged(self.variants, name), precision)
        decoder = self._decoders[name]
        longest, room = max(len(row.prompt) for row in rows), decoder.max_length - rows[0].sampling.max_new_tokens
        if longest > room:
            raise ValueError(f"a prompt has {longest} tokens and the model reads {room}; shorten it")
        if prefix := common_prefix([row.prompt for row in rows]):
            read = decoder.cache(1, len(prefix))
            decoder(read, [prefix], [0], [name])
            for row in rows:
                row.prefix = read[:, 0]
        waiting = deque(sorted(rows, key=lambda row: len(row.prompt)))
        batch = ContinuousBatch(decoder, set(stop_ids(self.variants.tokenizer).values()))
        while waiting or batch.rows:
            if waiting and len(batch.rows) <= BULK_ROWS - REFILL:
                batch.admit([waiting.popleft() for _ in range(min(REFILL, len(waiting)))])
            batch.step()
            batch.evict([row for row in batch.rows if row.done])


def common_prefix(prompts: Items[list[int]]) -> list[int]:
    """Tokens that all prompts begin with, such as the system message; the last token of each is left out."""
    first, last = min(prompts), max(prompts)
    shared = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[: min(shared, *(len(prompt) - 1 for prompt in prompts))]


def bulk_decoder(variants: ModelVariants, names: Items[str]) -> BulkDecoder | None:
    """Bulk decoder of these variants where there is one: on a CPU, for a form that it computes, in the chat format.

    Args:
        variants: the models.
        names: those that will be asked.
    """
    on_cpu = variants.model.device.type == "cpu"
    chat = all(isinstance(variants.format_of(name), ChatTurns) for name in set(names))
    return BulkDecoder(variants) if on_cpu and chat and not unsupported_reason(variants.model) else None
