"""Continuous batching: sequences are admitted and evicted between steps, each with its own adapter and sampling."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from torch import Tensor

from chat.engine.decoder import Decoder
from chat.engine.sampler import sample_next_tokens
from chat.sampling import Sampling

MAX_BATCH_ROWS = 12  # of several requests in one batch; more make everybody's step slower
CACHE_BLOCK = 32  # tokens by which the KV cache grows


@dataclass(eq=False)
class Sequence:
    """A sequence being generated: its prompt, and the tokens of its reply so far."""

    prompt: list[int]
    variant: str
    sampling: Sampling
    rng: Random
    """Asked once a token."""
    reply: list[int] = field(default_factory=list)
    done: bool = False
    prefix: Tensor | None = None
    """Keys and values of the prompt's first tokens, (layers, tokens, ...) as the cache has them, where they are known;
    at least one token of the prompt is left to read."""

    @property
    def unread(self) -> list[int]:
        """Tokens that the next step reads: the prompt after its prefix, then what was drawn last."""
        known = 0 if self.prefix is None else self.prefix.shape[1]
        return [self.reply[-1]] if self.reply else self.prompt[known:]

    def append(self, token: int, stops: set[int]) -> None:
        """Adds a token of the reply; it is done with one of `stops`, or at its full length."""
        self.reply.append(token)
        self.done = token in stops or len(self.reply) == self.sampling.max_new_tokens


class Batch(Protocol):
    """Sequences that an engine's worker runs together."""

    rows: list[Sequence]

    def admit(self, rows: list[Sequence]) -> None:
        """Adds sequences."""

    def step(self) -> None:
        """Gives every sequence a token or more."""

    def evict(self, rows: list[Sequence]) -> None:
        """Removes sequences."""

    def clear(self) -> None:
        """Removes all sequences, after an error too."""


class ContinuousBatch:
    """A running batch of sequences over one KV cache, sequence i in slot i."""

    def __init__(self, decoder: Decoder, stops: set[int]) -> None:
        """Starts empty.

        Args:
            decoder: runs the steps.
            stops: ids of the tokens that end a reply.
        """
        self.decoder, self.stops = decoder, stops
        self.rows: list[Sequence] = []
        self._cache: Tensor | None = None

    def admit(self, rows: list[Sequence]) -> None:
        """Adds sequences. The next step prefills their prompts, together with the last tokens of the others."""
        self.rows += rows

    def step(self) -> None:
        """Runs one decode step: every sequence gets its next token. After an error `clear` makes the batch usable."""
        new = [row.unread for row in self.rows]
        past = [len(row.prompt) + len(row.reply) - len(tokens) for row, tokens in zip(self.rows, new, strict=True)]
        cache = self._reserve(max(start + len(tokens) for start, tokens in zip(past, new, strict=True)))
        for slot, row in enumerate(self.rows):
            if row.prefix is not None and not row.reply:
                cache[:, slot, : row.prefix.shape[1]] = row.prefix
        logits = self.decoder(cache, new, past, [row.variant for row in self.rows])
        drawn = sample_next_tokens(logits, [row.sampling for row in self.rows], [row.rng for row in self.rows])
        for row, token in zip(self.rows, drawn, strict=True):
            row.append(token, self.stops)

    def evict(self, rows: list[Sequence]) -> None:
        """Removes sequences, and moves the last ones into their slots."""
        evicted = {id(row) for row in rows}
        for slot in range(len(self.rows) - 1, -1, -1):
            if id(self.rows[slot]) not in evicted:
                continue
            last = self.rows.pop()
            if slot < len(self.rows):
                self.rows[slot] = last
                if self._cache is not None and last.reply:
                    self._cache[:, slot] = self._cache[:, len(self.rows)]
        if not self.rows:
            self.clear()

    def clear(self) -> None:
        """Removes all sequences, and frees the cache."""
        self.rows, self._cache = [], None

    def _reserve(self, length: int) -> Tensor:
        """The KV cache, reallocated where it has too few slots, or too little capacity for `length` tokens in each."""
        old = self._cache
        if old is None or old.shape[1] < len(self.rows) or old.shape[2] < length:
            slots = max(len(self.rows), 0 if old is None else old.shape[1])
            capacity = max(-(-length // CACHE_BLOCK) * CACHE_BLOCK, 0 if old is None else old.shape[2])
            self._cache = self.decoder.cache(slots, capacity)
            if old is not None:
                self._cache[:, : old.shape[1], : old.shape[2]] = old
        assert self._cache is not None
        return self._cache
