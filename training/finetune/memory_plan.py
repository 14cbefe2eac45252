"""Memory and time plan of a training run, before a weight is loaded: rows, steps, tokens, bytes, minutes.

The formulas know the shape of the model and of the data, not the machine's habits: memory is meant to be right within a
fifth, time within a factor of two. A plan that cannot fit is refused, with what to change.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from typing import Any

from hub.errors import UserError

GB = 1e9
NF4_BYTES = 0.5 + 8 / 64 / 8 + 32 / (64 * 256) / 8
"""Bytes of a 4-bit weight: 8 bits for every block of 64 and 32 for every 256 blocks (QLoRA, Dettmers et al., 2023)."""
RUNTIME = 0.6 * GB
"""An allowance for a CUDA context, the kernels' workspaces and what the allocator leaves unused."""
FRAGMENTATION = 1.2
"""Of activations, what glibc's heap holds besides on a CPU, freed and not used again: of SmolLM2-135M in float32, 512,
1,023 and 2,046 tokens took 2.5, 4.0 and 6.9 GB, and 1,023 with every block mapped by itself 2.7."""
UTILISATION = 0.4
"""The share of a device's matrix speed that training of this kind reaches: an assumption, printed as one."""


@dataclass(frozen=True)
class Shape:
    """A decoder with gated MLPs (Llama, Qwen, Gemma), by its sizes; of another kind it is an estimate."""

    layers: int
    hidden: int
    intermediate: int
    kv: int  # width of keys, and of values
    vocab: int
    tied: bool

    @classmethod
    def of(cls, config: Any) -> Shape:
        """Shape of a transformers config; what it does not say is as in GPT-2."""
        text = config.get_text_config()
        hidden, heads = text.hidden_size, text.num_attention_heads
        head, kv_heads, inner = (
            getattr(text, name, None) for name in ("head_dim", "num_key_value_heads", "intermediate_size")
        )
        kv, tied = (head or hidden // heads) * (kv_heads or heads), bool(config.tie_word_embeddings)
        return cls(text.num_hidden_layers, hidden, inner or 4 * hidden, kv, text.vocab_size, tied)

    @property
    def linear(self) -> int:
        """Weights of the linear layers that LoRA adapts: q, k, v, o, gate, up, down."""
        return self.layers * self.hidden * (2 * self.hidden + 2 * self.kv + 3 * self.intermediate)

    @property
    def embedding(self) -> int:
        """Weights of the token embeddings, and of the head where it is untied."""
        return self.vocab * self.hidden * (1 if self.tied else 2)

    def lora(self, r: int) -> int:
        """Weights of adapters of rank r on them: r * (in + out) of each (Hu et al., 2021)."""
        h, kv, i = self.hidden, self.kv, self.intermediate
        return self.layers * r * (2 * (h + h) + 2 * (h + kv) + 3 * (h + i))


def memory(shape: Shape, model: Any, arguments: Any, tokens: int, adapters: int = 1) -> dict[str, float]:
    """Training memory in bytes, by what it is for.

    Args:
        shape: sizes of the model.
        model: the recipe's model section.
        arguments: TRL's config.
        tokens: the most that go through the model at once, over all rows of a batch.
        adapters: 2 where a frozen reference stands beside the trained one.
    """
    import torch

    act = 2 if arguments.bf16 else 4  # bytes of an activation, and of a frozen weight that is not quantized
    width = 2 if model.four_bit else 4  # of a trained weight (TRL: bf16 under NF4)
    trained = shape.lora(model.lora.r)
    state = 2 if "8bit" in str(arguments.optim) else 8  # AdamW's two moments, in 8 bits or 32
    layer = tokens * layer_bytes(shape, model.lora.dropout > 0, act)
    hidden = act * tokens * shape.hidden
    kept = shape.layers * hidden + layer if arguments.gradient_checkpointing else shape.layers * layer
    return {
        "base": shape.linear * (NF4_BYTES if model.four_bit else act)
        + shape.embedding * (2 if model.four_bit else act),
        "adapter and its optimizer": trained * (adapters * width + width + state),
        "activations": kept,
        "mask and head": 3 * tokens**2 + 4 * hidden + 4 * shape.vocab * min(tokens, 256),
        "one layer in bf16": 2 * shape.hidden * shape.intermediate if model.four_bit else 0,
        "runtime": RUNTIME,
        "heap": 0.0 if torch.cuda.is_available() else FRAGMENTATION * kept,
    }


def layer_bytes(shape: Shape, dropout: bool, act: int = 2) -> float:
    """Bytes that one layer keeps for its backward pass, per token.

    Counted by hand in the manner of Korthikanti et al. (2022) for SwiGLU, grouped keys and LoRA: the inputs and outputs
    of two norms, of attention and of the gated product; in bf16 the norms in float32 too; and with dropout the input of
    every adapter again, and its mask.

    Args:
        shape: sizes of the model.
        dropout: whether the adapters have dropout.
        act: bytes of an activation: 2 in bf16, 4 in float32.
    """
    h, i = shape.hidden, shape.intermediate
    norms = 8 * h if act == 4 else 16 * h
    return (
        act * ((4 if act == 4 else 8) * h + 2 * shape.kv + 4 * i) + norms + ((1 + act) * (6 * h + i) if dropout else 0)
    )


def flops_per_token(shape: Shape, checkpointing: bool, scored: float = 1.0) -> float:
    """FLOPs per token of LoRA training: 2 a weight forward, 2 backward (frozen weights take no gradient).

    2 again where activations are computed a second time.

    Kaplan et al. (2020) for full training is 2 + 4. The head counts, the lookup of embeddings does not.

    Args:
        shape: sizes of the model.
        checkpointing: activations are computed again in the backward pass.
        scored: the share of tokens that pass through the head, which are those of the replies.
    """
    return (6 if checkpointing else 4) * (shape.linear + scored * shape.vocab * shape.hidden)


def steps_of(rows: int, arguments: Any, processes: int = 1) -> int:
    """Optimizer steps of a run over so many rows."""
    if arguments.max_steps > 0:
        return arguments.max_steps
    batches = math.ceil(rows / (arguments.per_device_train_batch_size * processes))
    return math.ceil(math.ceil(batches / arguments.gradient_accumulation_steps) * arguments.num_train_epochs)


def device_memory() -> tuple[float, str]:
    """Bytes that training may take here, and the name of the device."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.mem_get_info()[1], torch.cuda.get_device_name()
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), f"CPU, {torch.get_num_threads()} threads"


def matrix_speed(hidden: int, intermediate: int, seconds: float = 0.2) -> float:
    """FLOP/s of a product of the model's own size, measured now, in the precision that training computes in.

    Args:
        hidden: width of the left factor.
        intermediate: width of the product.
        seconds: how long to measure.
    """
    import torch

    from chat.variants import has_bf16

    on_gpu = torch.cuda.is_available()
    native = has_bf16()
    rows, batch = (1024, 4) if native else (128, 1)  # a GPU needs many rows, and a full queue, to be at its speed
    dtype = torch.bfloat16 if native else torch.float32
    device = "cuda" if on_gpu else "cpu"
    left = torch.randn(rows, hidden, dtype=dtype, device=device)
    right = torch.randn(hidden, intermediate, dtype=dtype, device=device)

    def finish() -> None:
        if on_gpu:
            torch.cuda.synchronize()

    for _ in range(3 if native else 1):
        left @ right
    finish()
    started, rounds = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        for _ in range(batch):
            left @ right
        rounds += batch
        finish()
    return rounds * 2 * rows * hidden * intermediate / (time.perf_counter() - started)


def plan_run(
    shape: Shape, model: Any, arguments: Any, *, rows: int, tokens: int, largest_batch: int, adapters: int = 1
) -> dict[str, str]:
    """Plan of a run for the reader of its log: derived numbers by name.

    Args:
        shape: sizes of the model.
        model: the recipe's model section.
        arguments: TRL's config.
        rows: of one epoch.
        tokens: of one epoch.
        largest_batch: tokens that go through the model at once.
        adapters: 2 where a frozen reference stands beside the trained one.

    Raises:
        UserError: it cannot fit.
    """
    from training.finetune.loading import attention_implementation

    need = memory(shape, model, arguments, largest_batch, adapters)
    have, device = device_memory()
    if model.memory_gb:
        have, device = model.memory_gb * GB, f"{device}, memory_gb {model.memory_gb:g}"
    check_fits(need, have, model, arguments)
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    steps = steps_of(rows, arguments, processes)
    rows_per_step = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps * processes
    per_step = rows_per_step * tokens / rows
    speed = matrix_speed(shape.hidden, shape.intermediate)
    passes = 1.5 if adapters == 2 else 1  # the reference: one more forward pass without gradients
    seconds = steps * per_step / processes * passes * flops_per_token(shape, arguments.gradient_checkpointing)
    return {
        "device": device,
        "attention": attention_implementation(),
        "rows": f"{rows:,} of {tokens / rows:,.0f} tokens",
        "rows per step": f"{rows_per_step} ({per_step:,.0f} tokens)",
        "steps": f"{steps:,}",
        "memory": f"about {sum(need.values()) / GB:.1f} of {have / GB:.1f} GB ({parts(need)})",
        "time": f"about {seconds / speed / UTILISATION / 60:.1f} min "
        f"({UTILISATION:.0%} of {speed / 1e12:.2f} TFLOP/s, measured now)",
    }


def check_fits(need: dict[str, float], have: float, model: Any, arguments: Any) -> None:
    """Raises UserError where `need` is more than `have`, naming what would help most first."""
    if sum(need.values()) <= have:
        return
    cures = []
    if not arguments.gradient_checkpointing:
        cures.append("activation_checkpointing=true")
    if arguments.per_device_train_batch_size > 1:
        cures.append("a smaller per_device_train_batch_size with more gradient_accumulation_steps")
    if not model.four_bit:
        cures.append("model.four_bit=true")
    cures += ["a shorter max_length", "a smaller base"]
    raise UserError(
        f"the plan needs about {sum(need.values()) / GB:.1f} GB ({parts(need)}) and there are {have / GB:.1f}; "
        f"set {', or '.join(cures)}"
    )


def parts(need: dict[str, float]) -> str:
    """Parts of the memory by name in GB, the largest first."""
    return ", ".join(f"{name} {size / GB:.2f}" for name, size in sorted(need.items(), key=lambda item: -item[1]))
