"""The weights of a linear layer in each precision that the engine knows, and torch's fastest way to use them.

Weights are read once a step, so that a token takes at least as long as their bytes; but only a kernel that keeps up
with memory gains by fewer bytes. A layer of 9728 x 896 on two cores of a Sapphire Rapids that read 21 GB/s, in us:

| rows | 1 | 3 | 8 | 32 |
|---|---:|---:|---:|---:|
| int8, the kernel of `Int8` | 379 | 456 | 643 | 1,024 |
| int4, the kernel of `Int4` | 347 | 536 | 1,140 | 4,391 |
| bf16 | 1,527 | 1,801 | 2,420 | 5,018 |

`benchmarks/serve.py` measures whole answers.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Protocol

import torch
from torch import Tensor

from chat.voices import PRECISIONS

GROUP = 32  # weights that share a scale in int4


class Linear(Protocol):
    """A packed layer: (rows, inputs) to (rows, outputs), both of `activations(precision)`."""

    bytes: int
    """Of memory, all of which a call reads."""

    def __call__(self, x: Tensor) -> Tensor: ...


def choose(precision: str, device: torch.device) -> str:
    """What `auto` is on a device: int8 on a CPU, whose kernel is the fastest from two rows on, and bf16 on a GPU.

    Raises ValueError for an unknown precision, and for one that a device or this installation has no kernel for.
    """
    if precision == "auto":
        return "int8" if device.type == "cpu" and "fbgemm" in torch.backends.quantized.supported_engines else "bf16"
    if precision not in PRECISIONS:
        raise ValueError(f"no precision called {precision!r}; there are auto, {', '.join(PRECISIONS)}")
    if precision == "nf4" and find_spec("bitsandbytes") is None:
        raise ValueError("nf4 takes the package bitsandbytes, which is not installed; install it, or choose int4")
    if device.type != "cpu" and precision not in ("float32", "bf16"):
        raise ValueError(f"{precision} is for a CPU and the model is on {device}; choose bf16 or float32")
    return precision


def activations(precision: str) -> torch.dtype:
    """The type that a precision's layers take and give: the int8 kernel wants float32, the other small ones bf16."""
    return torch.float32 if precision in ("float32", "int8") else torch.bfloat16


def pack(weight: Tensor, bias: Tensor | None, precision: str) -> Linear:
    """A layer of the weights (outputs, inputs), which it copies where it does not keep them as they are."""
    dtype = activations(precision)
    bias = None if bias is None else bias.to(dtype)
    if precision == "int8":
        return Int8(weight, bias)
    if precision == "int4":
        return Int4(weight, bias)
    if precision == "nf4":
        return NF4(weight, bias)
    return Dense(weight.to(dtype), bias)


class Dense:
    """Weights as they are."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight, self.bias = weight, bias
        self.bytes = weight.nbytes

    def __call__(self, x: Tensor) -> Tensor:
        return torch.nn.functional.linear(x, self.weight, self.bias)


class Int8:
    """Weights in 8 bits with a scale for each output, activations in 8 bits with a scale for each row.

    The kernel (fbgemm, on VNNI instructions) has one scale for all rows, made of the largest and the smallest number:
    nobody's answer may depend on who else is in the batch. So rows are divided by their largest magnitude, and four
    columns 1, -1, 0, 0 with weights of zero put every row's range at exactly -1 to 1.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        outputs = len(weight)
        self.bias = bias
        padded = torch.nn.functional.pad(weight.float(), (0, len(ENDS)))
        scales = padded.abs().amax(dim=1).clamp(min=1e-12).double() / 127
        with warnings.catch_warnings():  # torch 2.13 announces the end of such tensors, and packs no others
            warnings.simplefilter("ignore", UserWarning)
            whole = torch.quantize_per_channel(padded, scales, torch.zeros(outputs, dtype=torch.long), 0, torch.qint8)
        self.packed: Any = torch.ops.quantized.linear_prepack(whole, None)
        self.reduced = not torch.cpu._is_vnni_supported()  # without VNNI the kernel's 16-bit sums could overflow
        self.bytes = padded.numel() + 8 * outputs

    def __call__(self, x: Tensor) -> Tensor:
        largest = x.abs().amax(dim=-1, keepdim=True).clamp_(min=1e-12)
        ranged = torch.cat([x / largest, ends(len(x))], dim=-1)
        y = torch.ops.quantized.linear_dynamic(ranged, self.packed, self.reduced)
        return y.mul_(largest) if self.bias is None else torch.addcmul(self.bias, y, largest)


ENDS = (1.0, -1.0, 0.0, 0.0)


@lru_cache(maxsize=64)
def ends(rows: int) -> Tensor:
    """What stands at the end of every row, (rows, 4)."""
    return torch.tensor([ENDS] * rows)


class Int4:
    """Weights in 4 bits with a scale and an offset for each group of 32, activations in bf16."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        outputs, inputs = weight.shape
        if inputs % GROUP:
            raise ValueError(f"int4 takes layers of a multiple of {GROUP} inputs, not {inputs}; choose int8")
        self.bias = bias
        groups = weight.float().view(outputs, -1, GROUP)
        low, high = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
        scales = ((high - low) / 15).clamp(min=1e-12)
        levels = ((groups - low) / scales).round().view(outputs, inputs).int()
        self.packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(levels, 1)
        # The kernel computes (level - 8) * scale + zero, from (groups, outputs, 2).
        zeros = low + 8 * scales
        self.scales = torch.cat([scales, zeros], dim=-1).transpose(0, 1).contiguous().bfloat16()
        self.bytes = self.packed.nbytes + self.scales.nbytes

    def __call__(self, x: Tensor) -> Tensor:
        y = torch.ops.aten._weight_int4pack_mm_for_cpu(x, self.packed, GROUP, self.scales)
        return y if self.bias is None else y.add_(self.bias)


class NF4:
    """bitsandbytes' 4 bits (Dettmers et al., 2023), activations in bf16."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        import bitsandbytes

        self.layer = bitsandbytes.nn.Linear4bit(
            weight.shape[1], weight.shape[0], bias is not None, compute_dtype=torch.bfloat16, quant_type="nf4"
        )
        self.layer.weight = bitsandbytes.nn.Params4bit(weight.bfloat16(), requires_grad=False, quant_type="nf4")
        if bias is not None:
            self.layer.bias = torch.nn.Parameter(bias, requires_grad=False)
        self.layer = self.layer.to("cpu").eval()
        self.bytes = weight.numel() // 2 + weight.numel() // 64 * 4

    def __call__(self, x: Tensor) -> Tensor:
        return self.layer(x)
