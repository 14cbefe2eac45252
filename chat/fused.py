"""One linear layer for every voice at once: the base's weights, and the low-rank additions of all adapters as one.

PEFT runs a layer's adapters one after another, each on the rows that it is for. Here the adapters' A are stacked to one
matrix and their B to another, and between the two a mask leaves to every row what belongs to its voice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from chat.packed import Linear, activations, pack

Adapter = list[tuple[Tensor, Tensor]]
"""A (rank, inputs) and B (outputs, rank, the scaling multiplied in) for each part of a fused layer."""


@dataclass
class Speakers:
    """Which adapter speaks in each row of a step: its number from 0, or -1 where the base does."""

    voices: Tensor
    """(rows,) of whole numbers."""
    among: tuple[int, ...]
    """The adapters that speak in any of the rows, in order."""
    _masks: dict[tuple[int, ...], tuple[tuple[int, int], Tensor]] = field(default_factory=dict)

    def mask(self, ranks: tuple[int, ...], dtype: torch.dtype) -> tuple[tuple[int, int], Tensor]:
        """From which to which rank they speak, and (rows, that many ranks): 1 where a rank is the row's, else 0."""
        if ranks not in self._masks:
            first, last = sum(ranks[: self.among[0]]), sum(ranks[: self.among[-1] + 1])
            owners = torch.arange(len(ranks)).repeat_interleave(torch.tensor(ranks))[first:last]
            owned = self.voices[:, None] == owners.to(self.voices.device)
            self._masks[ranks] = ((first, last), owned.to(dtype))
        return self._masks[ranks]


class Fused:
    """Linear layers with the same input as one, for all voices."""

    def __init__(self, base: Linear, adapters: list[Adapter], dtype: torch.dtype) -> None:
        self.base = base
        self.ranks = tuple(sum(len(a) for a, _ in adapter) for adapter in adapters)
        if adapters:
            self.down = torch.cat([a for adapter in adapters for a, _ in adapter]).to(dtype).t()
            self.up = torch.cat([torch.block_diag(*(b for _, b in adapter)).T for adapter in adapters]).to(dtype)

    @property
    def adapter_bytes(self) -> int:
        return self.down.nbytes + self.up.nbytes if self.ranks else 0

    def __call__(self, x: Tensor, speakers: Speakers | None) -> Tensor:
        """(rows, inputs) to (rows, outputs); without speakers the base alone."""
        y = self.base(x)
        if speakers:
            (first, last), mask = speakers.mask(self.ranks, x.dtype)
            y.addmm_(torch.mm(x, self.down[:, first:last]).mul_(mask), self.up[first:last])
        return y


def fuse(layers: list[Any], adapters: tuple[str, ...], precision: str) -> Fused:
    """Makes one layer of several, plain or PEFT's, that read the same input.

    Raises ValueError for an adapter that is more than A and B.
    """
    plain = [getattr(layer, "base_layer", layer) for layer in layers]
    weight = torch.cat([layer.weight.data for layer in plain])
    bias = None if plain[0].bias is None else torch.cat([layer.bias.data for layer in plain])
    dtype = activations(precision)
    return Fused(pack(weight, bias, precision), [_adapter(layers, name) for name in adapters], dtype)


def _adapter(layers: list[Any], name: str) -> Adapter:
    """One adapter's A and B for each layer; of rank 0 where it has none there."""
    parts = []
    for layer in layers:
        weight = getattr(layer, "base_layer", layer).weight
        if name in getattr(layer, "lora_A", ()):
            if name in getattr(layer, "lora_variant", ()) or layer.lora_bias[name]:
                raise ValueError(f"the adapter {name} is more than plain LoRA; train it without DoRA and without bias")
            a, b = layer.lora_A[name].weight.data, layer.lora_B[name].weight.data * layer.scaling[name]
        else:
            a, b = weight.new_zeros(0, weight.shape[1]), weight.new_zeros(weight.shape[0], 0)
        parts.append((a, b))
    return parts
