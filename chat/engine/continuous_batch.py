"""The rows that are being answered: they join at a step, each with its own variant and sampling, and leave when done."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from torch import Tensor

from chat.engine.decoder import Decoder
from chat.engine.sampler import sample_next_tokens
from chat.sampling import Sampling

MAX_BATCH_ROWS = 12  # of several requests in one batch; more make everybody's step slower
CACHE_BLOCK = 32  # tokens by which the cache grows


@dataclass(eq=False)
class Sequence:
    """One prompt on its way to a reply."""

    prompt: list[int]
    variant: str
    sampling: Sampling
    chance: Random
    reply: list[int] = field(default_factory=list)
    done: bool = False


class ContinuousBatch:
    """Rows in the slots of one cache, slot i for row i: those who came first, then those who join at the next step."""

    def __init__(self, decoder: Decoder, stops: set[int]) -> None:
        """`stops` are the tokens that end a reply."""
        self.decoder, self.stops = decoder, stops
        self.rows: list[Sequence] = []
        self._cache: Tensor | None = None

    def join(self, rows: list[Sequence]) -> None:
        """Lets rows in. Their prompts are read in the next step, together with what the others have said last."""
        self.rows += rows

    def step(self) -> None:
        """Gives every row its next token. Whatever goes wrong in the model, `clear` makes the batch good again."""
        new = [[row.reply[-1]] if row.reply else row.prompt for row in self.rows]
        read = [len(row.prompt) + len(row.reply) - len(tokens) for row, tokens in zip(self.rows, new, strict=True)]
        cache = self._room(max(start + len(tokens) for start, tokens in zip(read, new, strict=True)))
        logits = self.decoder(cache, new, read, [row.variant for row in self.rows])
        drawn = sample_next_tokens(logits, [row.sampling for row in self.rows], [row.chance for row in self.rows])
        for row, token in zip(self.rows, drawn, strict=True):
            row.reply.append(token)
            row.done = token in self.stops or len(row.reply) == row.sampling.max_new_tokens

    def leave(self, rows: list[Sequence]) -> None:
        """Lets rows go, and puts those at the end in their slots."""
        going = {id(row) for row in rows}
        for slot in range(len(self.rows) - 1, -1, -1):
            if id(self.rows[slot]) not in going:
                continue
            last = self.rows.pop()
            if slot < len(self.rows):
                self.rows[slot] = last
                if self._cache is not None and last.reply:
                    self._cache[:, slot] = self._cache[:, len(self.rows)]
        if not self.rows:
            self.clear()

    def clear(self) -> None:
        """Forgets all rows, and gives the cache's memory back."""
        self.rows, self._cache = [], None

    def _room(self, length: int) -> Tensor:
        """The cache, made larger where it has too few slots or too little room in each."""
        old = self._cache
        if old is None or old.shape[1] < len(self.rows) or old.shape[2] < length:
            slots = max(len(self.rows), 0 if old is None else old.shape[1])
            capacity = max(-(-length // CACHE_BLOCK) * CACHE_BLOCK, 0 if old is None else old.shape[2])
            self._cache = self.decoder.cache(slots, capacity)
            if old is not None:
                self._cache[:, : old.shape[1], : old.shape[2]] = old
        assert self._cache is not None
        return self._cache
