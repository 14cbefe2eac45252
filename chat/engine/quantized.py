"""Quantized linear layers: weight-only int4 and NF4, int8 with dynamic activations, and dense float32 and bf16.

Weights are read once a step, so that a token takes at least as long as their bytes; but only a kernel that keeps up
with memory gains by fewer bytes. Products on two cores of a Sapphire Rapids that read 21 GB/s, in us:

| layer | rows | 1 | 3 | 8 |
|---|---|---:|---:|---:|
| 9728 x 896 | int8, in blocks | 323 | 294 | 470 |
| | int8, `_int_mm` | 245 | 586 | 670 |
| | int4 | 367 | 593 | 1,292 |
| | bf16 | 887 | 1,096 | 1,701 |
| 640 x 384 | int8, in blocks | 38 | 36 | 34 |
| | int8, `_int_mm` | 8 | 17 | 20 |
| | int4 | 21 | 23 | 45 |

`benchmarks/serve.py` measures whole answers.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from chat.variants import PRECISIONS, has_bf16

GROUP = 32  # weights that share a scale in int4
BLOCKED_FROM = 1_000_000  # weights of an int8 layer
OPERATORS = {
    "int8": ("ops.onednn.qlinear_prepack", "ops.onednn.qlinear_pointwise.tensor", "_int_mm"),
    "int4": ("ops.aten._convert_weight_to_int4pack_for_cpu", "ops.aten._weight_int4pack_mm_for_cpu"),
}
"""Private operators of torch that a precision takes; another version may not have them. The others take public ones."""


def resolve_precision(precision: str, device: torch.device) -> str:
    """Resolves `auto`: int8 on a CPU that has instructions for it, else int4, and bf16 on a GPU.

    Where this torch lacks the operators of both, `auto` is bf16 on a CPU with kernels for it, else float32, and a line
    is printed that says so.

    Raises ValueError for an unknown precision, and for one that a device or this installation has no kernel for.
    """
    if precision == "auto":
        return "bf16" if device.type != "cpu" else _fastest_on_cpu()
    if precision not in PRECISIONS:
        raise ValueError(f"no precision called {precision!r}; there are auto, {', '.join(PRECISIONS)}")
    if precision == "nf4" and find_spec("bitsandbytes") is None:
        raise ValueError("nf4 takes the package bitsandbytes, which is not installed; install it, or choose int4")
    if device.type != "cpu" and precision not in ("float32", "bf16"):
        raise ValueError(f"{precision} is for a CPU and the model is on {device}; choose bf16 or float32")
    if missing := missing_operator(precision):
        raise ValueError(f"{precision} takes {missing}, which torch {torch.__version__} lacks; choose bf16 or float32")
    return precision


def missing_operator(precision: str) -> str | None:
    """Names the first operator that a precision takes and this torch does not have; None where it has all."""
    for path in OPERATORS.get(precision, ()):
        found: object = torch
        for name in path.split("."):
            found = getattr(found, name, None)
        if found is None:
            return f"torch.{path}"
    return None


def _fastest_on_cpu() -> str:
    for precision in ("int8", "int4") if has_vnni() else ("int4",):
        if not missing_operator(precision):
            return precision
    precision = "bf16" if has_bf16() else "float32"
    reason = f"torch {torch.__version__} lacks {missing_operator('int4')}"
    print(f"engine: {reason}; the precision auto is {precision} instead of int8 or int4", flush=True)
    return precision


def has_vnni() -> bool:
    """Whether this CPU sums products of bytes in 32 bits at once.

    Without, oneDNN's int8 kernel sums pairs of them in 16 bits, which overflow: a quarter of the largest product of a
    384 x 640 layer was lost on a Zen 3. `_int_mm` is exact everywhere.
    """
    return bool(getattr(torch.cpu, "_is_vnni_supported", lambda: False)())


def activation_dtype(precision: str) -> torch.dtype:
    """Activation dtype of a precision: bf16 where all of the arithmetic is in bf16, else float32."""
    return torch.bfloat16 if precision in ("bf16", "nf4") else torch.float32


def quantize_linear(weight: Tensor, bias: Tensor | None, precision: str) -> Linear | NF4:
    """Quantizes a linear layer, weights (outputs, inputs); they are copied where they do not stay as they are."""
    bias = None if bias is None else bias.to(activation_dtype(precision))
    if precision == "int8":
        return Int8(weight, bias)
    if precision == "int4":
        return Int4(weight, bias)
    if precision == "nf4":
        return NF4(weight, bias)
    return Dense(weight.to(activation_dtype(precision)), bias)


class Linear(nn.Module):
    """Linear layer: (..., inputs) to (..., outputs), both of `activation_dtype(precision)`."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    @property
    def bytes(self) -> int:
        """Memory of the layer, all of which a call reads."""
        return sum(buffer.numel() * buffer.itemsize for buffer in self.buffers())


class Dense(Linear):
    """Dense linear layer, float32 or bf16."""

    def forward(self, x: Tensor) -> Tensor:
        """Applies the layer to (..., inputs)."""
        return nn.functional.linear(x, self.weight, self.bias)


class Int8(Linear):
    """Int8 linear layer: weights with a scale for each output, activations quantized with a scale for each row.

    Products of bytes are summed in 32 bits, without rounding: nobody's answer depends on who else is in the batch.
    Large layers lie in the blocks that oneDNN's kernel reads. To ask for that kernel takes longer than a small layer
    does; those go through `_int_mm`.
    """

    scales: Tensor
    one: Tensor
    middle: Tensor
    none: Tensor

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        scales = weight.float().abs().amax(dim=1).clamp(min=1e-12) / 127
        whole = (weight.float() / scales[:, None]).round().to(torch.int8)
        self.blocked = weight.numel() >= BLOCKED_FROM and has_vnni()
        super().__init__(torch.ops.onednn.qlinear_prepack(whole, None) if self.blocked else whole, bias)
        self.register_buffer("scales", scales)
        if self.blocked:
            self.register_buffer("one", torch.tensor(1.0))
            self.register_buffer("middle", torch.tensor(128, dtype=torch.int32))
            self.register_buffer("none", torch.zeros(len(scales), dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        """Applies the layer to (..., inputs)."""
        rows = x.flatten(0, -2)
        steps = rows.abs().amax(dim=-1, keepdim=True).clamp(min=1e-12) / 127
        levels = (rows / steps).round()
        if self.blocked:  # its kernel wants bytes from 0, and gives them back their middle
            y = torch.ops.onednn.qlinear_pointwise.tensor(
                (levels + 128).to(torch.uint8), self.one, self.middle, self.weight, self.scales, self.none, None,
                1.0, 0, torch.float32, "none", [], "",
            )  # fmt: skip
        else:
            y = torch._int_mm(levels.to(torch.int8), self.weight.t()) * self.scales
        y = y * steps if self.bias is None else torch.addcmul(self.bias, y, steps)
        return y.view(*x.shape[:-1], -1)


class Int4(Linear):
    """Int4 linear layer: a scale and an offset for each group of 32 weights; the kernel computes in bf16.

    Its kernel takes whole groups, and outputs by the 16: what a layer lacks is filled with zeros.
    """

    scales: Tensor

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.outputs, self.inputs = weight.shape
        whole = nn.functional.pad(weight.float(), (0, -self.inputs % GROUP, 0, -self.outputs % 16))
        groups = whole.view(len(whole), -1, GROUP)
        low, high = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
        scales = ((high - low) / 15).clamp(min=1e-12)
        levels = ((groups - low) / scales).round().view(whole.shape).int()
        super().__init__(torch.ops.aten._convert_weight_to_int4pack_for_cpu(levels, 1), bias)
        # The kernel computes (level - 8) * scale + zero, from (groups, outputs, 2).
        zeros = low + 8 * scales
        self.register_buffer("scales", torch.cat([scales, zeros], dim=-1).transpose(0, 1).contiguous().bfloat16())

    def forward(self, x: Tensor) -> Tensor:
        """Applies the layer to (..., inputs)."""
        rows = x.flatten(0, -2).bfloat16()
        if missing := -self.inputs % GROUP:
            rows = nn.functional.pad(rows, (0, missing))
        y: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(rows, self.weight, GROUP, self.scales).float()
        if y.shape[1] != self.outputs:
            y = y[:, : self.outputs]
        y = y if self.bias is None else y + self.bias
        return y.view(*x.shape[:-1], -1)


class NF4(nn.Module):
    """NF4 linear layer of bitsandbytes (Dettmers et al., 2023), activations in bf16."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        import bitsandbytes.nn

        super().__init__()
        nf4: Any = bitsandbytes.nn
        self.layer: nn.Module = nf4.Linear4bit(
            weight.shape[1], weight.shape[0], bias is not None, compute_dtype=torch.bfloat16, quant_type="nf4"
        )
        self.layer.weight = nf4.Params4bit(weight.bfloat16(), requires_grad=False, quant_type="nf4")
        if bias is not None:
            self.layer.bias = nn.Parameter(bias, requires_grad=False)
        self.layer = self.layer.to("cpu").eval()
        self.bytes = weight.numel() // 2 + weight.numel() // 64 * 4

    def forward(self, x: Tensor) -> Tensor:
        """Applies the layer to (..., inputs)."""
        y: Tensor = self.layer(x)
        return y
