"""Sampling of the next tokens: temperature, top-k and top-p by each row's own settings and random generator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

import torch
from torch import Tensor

from chat.sampling import Sampling

BLOCK = 128  # tokens of a block, whose maximum stands for them in `top_k`


def sample_next_tokens(logits: Tensor, samplings: Sequence[Sampling], rngs: Sequence[Random]) -> list[int]:
    """Samples one token for each row of logits (rows, vocabulary), float32.

    As in transformers: temperature, then the k likeliest, then the likeliest that sum to p, of which one at least. A
    row's generator is asked once a token, so that a seeded reply does not depend on who else is in the batch.
    """
    vocabulary = logits.shape[1]
    keep = [1 if one.temperature == 0 else min(one.top_k or vocabulary, vocabulary) for one in samplings]
    values, tokens = top_k(logits, max(keep))
    if values.shape[1] == 1:
        return tokens[:, 0].tolist()

    def column(numbers: Sequence[float]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.float64)[:, None]

    scaled = values.double() / column([one.temperature or 1.0 for one in samplings])
    scaled.masked_fill_(torch.arange(values.shape[1]) >= column(keep), -math.inf)
    shares = scaled.softmax(dim=-1)
    before = shares.cumsum(dim=-1) - shares
    shares.masked_fill_(before >= column([one.top_p for one in samplings]), 0)
    shares[:, 0] = shares[:, 0].clamp(min=1e-300)
    ends = shares.cumsum(dim=-1)
    aims = column([rng.random() for rng in rngs]) * ends[:, -1:]
    places = (ends <= aims).sum(dim=-1, keepdim=True).clamp_(max=values.shape[1] - 1)
    return tokens.gather(1, places)[:, 0].tolist()


def top_k(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Top-k of each row: the largest values and their indices, both (rows, count) in falling order, on the CPU.

    The `count` largest stand in the `count` blocks with the largest maxima; so only those are sorted.
    """
    rows, width = logits.shape
    if count == 1:
        values, tokens = logits.max(dim=-1, keepdim=True)
    elif width % BLOCK or count * BLOCK > width // 2:
        values, tokens = logits.topk(count)
    else:
        blocks = logits.view(rows, -1, BLOCK)
        best = blocks.amax(dim=-1).topk(count).indices
        among = blocks.gather(1, best[:, :, None].expand(-1, -1, BLOCK)).flatten(1)
        values, places = among.topk(count)
        tokens = best.gather(1, places // BLOCK) * BLOCK + places % BLOCK
    return values.cpu(), tokens.cpu()
