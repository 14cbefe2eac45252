"""Multi-LoRA linear layers: the base's product for all rows, and each row's own low-rank update (as S-LoRA, 2023).

PEFT runs a layer's adapters one after another, each on the rows that it is for. Here the adapters' A and B are stacked,
the base's zeros first, and every row gathers its own by adapter id; so are the embeddings of trained tokens.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from chat.engine.quantized import NF4, Linear, quantize_linear

Adapter = list[tuple[Tensor, Tensor]]
"""A (rank, inputs) and B (outputs, rank, the scaling multiplied in) for each part of a fused layer."""


class MultiLoraLinear(nn.Module):
    """Fused linear layers of one input, with the low-rank updates of all adapters."""

    down: Tensor
    """(variants, parts * rank, inputs): the A of all parts, one below the other."""

    def __init__(self, base: Linear | NF4, adapters: list[Adapter], dtype: torch.dtype) -> None:
        super().__init__()
        self.base = base
        self.parts = len(adapters[0]) if adapters else 0
        self.rank = max((len(a) for adapter in adapters for a, _ in adapter), default=0)
        if self.rank:
            padded = [[self._padded(a, b) for a, b in adapter] for adapter in adapters]
            down = torch.stack([torch.cat([a for a, _ in adapter]) for adapter in padded])
            self.register_buffer("down", prepend_zeros(down).to(dtype))
            for part in range(self.parts):
                up = torch.stack([adapter[part][1].T for adapter in padded])
                self.register_buffer(f"up{part}", prepend_zeros(up).to(dtype))  # (variants, rank, outputs)

    def _padded(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        missing = self.rank - len(a)
        return nn.functional.pad(a, (0, 0, 0, missing)), nn.functional.pad(b, (0, missing))

    @property
    def adapter_bytes(self) -> int:
        """Of memory that all adapters' A and B take."""
        return sum(buffer.nbytes for buffer in self.buffers(recurse=False))

    def forward(self, x: Tensor, adapter_ids: Tensor | None) -> Tensor:
        """(rows, tokens, inputs) to (rows, tokens, outputs).

        Args:
            x: of `activation_dtype(precision)`.
            adapter_ids: (rows,) the adapter of each row, 0 for the base alone; None where all rows are the base's.
        """
        y: Tensor = self.base(x)
        if adapter_ids is None or not self.rank:
            return y
        low_rank = batched_matmul(x, self.down[adapter_ids].mT)
        added = [
            batched_matmul(
                low_rank[..., part * self.rank : (part + 1) * self.rank], getattr(self, f"up{part}")[adapter_ids]
            )
            for part in range(self.parts)
        ]
        return y + (added[0] if self.parts == 1 else torch.cat(added, dim=-1))


def batched_matmul(x: Tensor, weights: Tensor) -> Tensor:
    """Batched product of (rows, tokens, inputs) with each row's own (inputs, outputs).

    While a step is compiled, one token a row is written as a sum, which the compiler fuses with its neighbours.
    """
    weights = weights.to(x.dtype)
    if torch.compiler.is_exporting() and x.shape[1] == 1:
        return (x[:, 0, :, None] * weights).sum(1)[:, None]
    return torch.bmm(x, weights)


def prepend_zeros(stacked: Tensor) -> Tensor:
    """Puts zeros first along dimension 0: the update of the base, whose adapter id is 0."""
    return torch.cat([torch.zeros_like(stacked[:1]), stacked])


def fuse_linears(layers: list[Any], adapters: tuple[str, ...], precision: str) -> MultiLoraLinear:
    """Fuses linear layers of one input, torch's own or PEFT's, into one.

    Raises ValueError for an adapter that is more than A and B.
    """
    bases = [getattr(layer, "base_layer", layer) for layer in layers]
    weight = torch.cat([layer.weight.data for layer in bases])
    bias = None if bases[0].bias is None else torch.cat([layer.bias.data for layer in bases])
    dtype = torch.float32 if precision == "float32" else torch.bfloat16  # of adapters, as they are published
    return MultiLoraLinear(
        quantize_linear(weight, bias, precision), [_adapter(layers, name) for name in adapters], dtype
    )


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


def base_embedding(module: Any) -> Any:
    """The base's own embedding or head, without PEFT's trained tokens around it."""
    return module.original_module if hasattr(module, "token_adapter") else module


def trained_tokens(embedding: Any, adapters: tuple[str, ...], dtype: torch.dtype) -> tuple[list[int], Tensor]:
    """Trained token rows: the tokens that any adapter has trained, and their rows (1 + adapters, tokens, width)."""
    layer: Any = getattr(embedding, "token_adapter", None)
    indices = (
        {name: list(layer.token_indices[name]) for name in adapters if name in layer.token_indices} if layer else {}
    )
    tokens = sorted({token for of_one in indices.values() for token in of_one})
    rows = base_embedding(embedding).weight.data[tokens].to(dtype).repeat(1 + len(adapters), 1, 1)
    for number, name in enumerate(adapters, start=1):
        for place, token in enumerate(indices.get(name, ())):
            rows[number, tokens.index(token)] = layer.trainable_tokens_delta[name].data[place].to(dtype)
    return tokens, rows
