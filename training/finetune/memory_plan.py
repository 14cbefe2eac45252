"""Memory and operations of a training, by formulas, from the shape of a model alone.

They know the shape of the model and of the data, not the machine's habits: memory is meant to be right within a quarter
(`tests/training/finetune/test_memory_plan_published.py` holds it to figures that others have published).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

GB = 1e9
NF4_BYTES = 0.5 + 8 / 64 / 8 + 32 / (64 * 256) / 8
"""Bytes of a 4-bit weight: 8 bits for every block of 64 and 32 for every 256 blocks (QLoRA, Dettmers et al., 2023)."""
RUNTIME = 0.6 * GB
"""An allowance for a CUDA context, the kernels' workspaces and what the allocator leaves unused."""
FRAGMENTATION = 1.2
"""Of activations, what glibc's heap holds besides on a CPU, freed and not used again: of SmolLM2-135M in float32, 512,
1,023 and 2,046 tokens took 2.5, 4.0 and 6.9 GB, and 1,023 with every block mapped by itself 2.7."""


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


def memory(
    shape: Shape,
    model: Any,
    arguments: Any,
    tokens: int,
    adapters: int = 1,
    shards: int = 1,
    on_gpu: bool | None = None,
) -> dict[str, float]:
    """Training memory of one device in bytes, by what it is for.

    Args:
        shape: sizes of the model.
        model: the recipe's model section.
        arguments: TRL's config.
        tokens: the most that go through the model at once, over all rows of a batch.
        adapters: 2 where a frozen reference stands beside the trained one.
        shards: devices that share weights and optimizer (FSDP, ZeRO-3). A layer is gathered while the one before it is
            computed; what belongs to no layer, the embeddings, stays gathered through a step.
        on_gpu: None asks this machine. A CPU's heap holds more.
    """
    import torch

    on_gpu = torch.cuda.is_available() if on_gpu is None else on_gpu
    act = 2 if arguments.bf16 else 4  # bytes of an activation, and of a frozen weight that is not quantized
    width = 2 if model.four_bit else 4  # of a trained weight (TRL: bf16 under NF4)
    trained = shape.lora(model.lora.r)
    state = 2 if "8bit" in str(arguments.optim) else 8  # AdamW's two moments, in 8 bits or 32
    layer = tokens * layer_bytes(shape, model.lora.dropout > 0, act)
    hidden = act * tokens * shape.hidden
    kept = shape.layers * hidden + layer if arguments.gradient_checkpointing else shape.layers * layer
    layers = shape.linear * (NF4_BYTES if model.four_bit else act)
    embedding = shape.embedding * (2 if model.four_bit else act)
    return {
        "base": (layers + embedding) / shards,
        "gathered": 2 * layers / shape.layers + embedding if shards > 1 else 0.0,
        "adapter and its optimizer": trained * (adapters * width + width + state) / shards,
        "activations": kept,
        "mask and head": 3 * tokens**2 + 4 * hidden + 4 * shape.vocab * min(tokens, 256),
        "one layer in bf16": 2 * shape.hidden * shape.intermediate if model.four_bit else 0,
        "runtime": RUNTIME,
        "heap": 0.0 if on_gpu else FRAGMENTATION * kept,
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
