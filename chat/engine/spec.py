"""What the decoder has to know of a model, read from transformers' config and modules; and what it does not compute.

Llama, Mistral, Qwen 2, Qwen 3 and SmolLM3 are one decoder: pre-norm, rotary embeddings, grouped heads, SwiGLU. They
differ in biases, which their linear layers hold, and in what stands in `DecoderSpec`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MODEL_TYPES = ("llama", "mistral", "qwen2", "qwen3", "smollm3")
ROPE_TYPES = ("default", "linear", "llama3", "yarn", "dynamic")
"""Rotary embeddings whose angles stay the same up to the model's length (dynamic ones change beyond it)."""
TOKEN_ROWS = ("embed_tokens", "lm_head")
LINEARS = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


@dataclass(frozen=True)
class DecoderSpec:
    """Shape of a decoder-only transformer."""

    heads: int
    kv_heads: int
    head_size: int
    scaling: float
    """Of the products of queries and keys."""
    eps: float
    """Of the RMS norms."""
    tied: bool
    """Whether the output head is the embedding."""
    query_key_norm: bool
    """Whether queries and keys have RMS norms per head, before the rotary embeddings."""
    rotary: tuple[bool, ...]
    """Of each layer, whether it has rotary embeddings (SmolLM3 leaves them out in every fourth: NoPE)."""
    windows: tuple[int | None, ...]
    """Of each layer, how many tokens it sees, the newest included; None for all."""
    max_length: int
    """Tokens of prompt and reply."""


def base_model(model: Any) -> Any:
    """The model of transformers, without PEFT's around it."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


def read_spec(model: Any) -> DecoderSpec:
    """Reads the spec of a transformers model or a PeftModel.

    Raises ValueError for what the decoder does not compute.
    """
    if reason := unsupported_reason(model):
        raise ValueError(f"the decoder does not compute it: {reason}")
    base = base_model(model)
    config, layers = base.config, base.model.layers
    attention, longest = layers[0].self_attn, int(config.max_position_embeddings)
    return DecoderSpec(
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        head_size=attention.head_dim,
        scaling=attention.scaling,
        eps=config.rms_norm_eps,
        tied=config.tie_word_embeddings,
        query_key_norm=hasattr(attention, "q_norm"),
        rotary=tuple(bool(getattr(layer.self_attn, "use_rope", True)) for layer in layers),
        windows=tuple(window if window and window < longest else None for window in _windows(config, len(layers))),
        max_length=longest,
    )


def unsupported_reason(model: Any) -> str | None:
    """Why the decoder does not compute a model with its adapters, though transformers and PEFT do; None where it does.

    Its four linear layers take plain LoRA of the seven that transformers has, and the embedding trained tokens.
    """
    return _other_form(base_model(model).config) or _other_adapters(model)


def check_adapters(model: Any) -> None:
    """Raises ValueError for adapters that no engine can mix in one batch, as PEFT cannot."""
    for name, config in getattr(model, "peft_config", {}).items():
        if getattr(config, "modules_to_save", None):
            raise ValueError(f"the adapter {name} has modules_to_save, which cannot be mixed in a batch; train tokens")
        if getattr(config, "use_dora", False):
            raise ValueError(f"the adapter {name} has DoRA, which cannot be mixed in a batch; train it without")


def _windows(config: Any, layers: int) -> list[int | None]:
    """The sliding window of each layer, as transformers' masks have it."""
    if config.model_type == "mistral":
        return [config.sliding_window] * layers
    kinds = getattr(config, "layer_types", None) or ["full_attention"] * layers
    return [config.sliding_window if kind == "sliding_attention" else None for kind in kinds[:layers]]


def _other_form(config: Any) -> str | None:
    """How a model differs from what the decoder computes; None where it does not."""
    if config.model_type not in MODEL_TYPES:
        return f"{config.model_type} is none of {', '.join(MODEL_TYPES)}"
    rope = config.rope_parameters
    if rope["rope_type"] not in ROPE_TYPES or rope.get("partial_rotary_factor", 1.0) != 1.0:
        return f"{config.model_type} with {rope['rope_type']} rotary embeddings"
    if config.hidden_act not in ("silu", "swish"):
        return f"{config.model_type} with the activation {config.hidden_act}"
    if getattr(config, "quantization_config", None):
        return f"{config.model_type} with weights that are quantized already"
    return None


def _other_adapters(model: Any) -> str | None:
    """What adapters change beside the layers' linear ones and the embedding's tokens; None where that is all."""
    for name, module in model.named_modules():
        if hasattr(module, "lora_A") and name.split(".")[-1] not in LINEARS:
            return f"an adapter changes {name}"
        if any(getattr(module, "lora_bias", {}).values()) or getattr(module, "lora_variant", None):
            return f"an adapter is more than plain LoRA at {name}"
        tokens = getattr(module, "token_adapter", None)
        if tokens is not None and not tokens.tied_adapter and name.split(".")[-1] not in TOKEN_ROWS:
            return f"an adapter changes tokens of {name}"
    return None
