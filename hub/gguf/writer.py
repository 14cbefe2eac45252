"""GGUF files of a Llama, Mistral, Qwen 2 or Qwen 3 model and of a LoRA adapter on it, as llama.cpp reads them.

Sources: the GGUF specification (ggml/docs/gguf.md), llama.cpp's `convert_hf_to_gguf.py`, and its `llama-adapter.cpp`,
which says how an adapter's tensors are laid out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub.errors import UserError
from hub.gguf.vocabulary import add_vocabulary

if TYPE_CHECKING:
    import numpy as np
    from gguf import GGUFWriter

TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0")
"""What the matrices may be stored as; vectors (norms and biases) are always float32."""
ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
"""llama.cpp's, by transformers' model_type."""


def write_model(path: Path, model: Any, tokenizer: Any, name: str, type: str = "f32", own_head: bool = False) -> Path:
    """Writes a whole model: weights, hyperparameters, vocabulary and chat template.

    Args:
        path: of the file to write.
        model: a causal model of transformers, of ARCHITECTURES.
        tokenizer: with byte-level BPE, and its chat template.
        name: for the metadata.
        type: one of TYPES.
        own_head: store a tied output head once more, under its own name. llama.cpp cannot add to the one tensor as
            embedding and as head, so a base that adapters with trained tokens stand on needs it.

    Raises:
        UserError: it is another architecture, or has rotary embeddings or a tokenizer that are not written.
    """
    from gguf import MODEL_ARCH, GGUFWriter, LlamaFileType, get_tensor_name_map

    config = model.config
    architecture = architecture_of(config, name)
    writer = GGUFWriter(str(path), architecture)
    writer.add_name(name)
    _add_shape(writer, config, architecture, name)
    files = LlamaFileType
    writer.add_file_type(files.ALL_F32 if type == "f32" else files[f"MOSTLY_{type.upper()}"])
    add_vocabulary(writer, tokenizer, config.vocab_size)
    if config.rope_parameters["rope_type"] == "llama3":
        _add(writer, "rope_freqs.weight", frequency_factors(model.model.rotary_emb, config), "f32")
    names = get_tensor_name_map(MODEL_ARCH[architecture.upper()], config.num_hidden_layers)
    for old, tensor in model.state_dict().items():
        tied = old == "lm_head.weight" and config.tie_word_embeddings
        if not tied or own_head:
            values = interleave(old, tensor.float().numpy(), config)
            _add(writer, str(names.get_name(old, try_suffixes=(".weight", ".bias"))), values, type)
    return _written(writer, path)


def write_adapter(
    path: Path,
    tensors: Mapping[str, Any],
    alpha: float,
    scales: Mapping[str, float],
    ids: Sequence[int],
    added: Mapping[str, Any],
    config: Any,
    type: str = "f32",
) -> Path:
    """Writes a LoRA adapter, trained tokens as a rank-n update of the embedding and of the head.

    What n trained tokens add to the rows of a matrix is exactly a product of rank n: one that picks the rows, times
    one that holds what is added. The base must have its head as a tensor of its own (`write_model` with `own_head`).

    Args:
        path: of the file to write.
        tensors: of PEFT's adapter_model.safetensors, float32.
        alpha: llama.cpp multiplies each product with alpha over its rank.
        scales: what PEFT multiplies the product of each module with (`lora_scales`). Where it is another number
            (rsLoRA, ranks or alphas of some modules), what is missing is multiplied into B.
        ids: of the trained tokens.
        added: what is added to their rows, (tokens, width), by llama.cpp's name of the tensor; tensors that gain
            nothing are left out.
        config: of the base.
        type: f32 or f16, of the products' factors.

    Raises UserError where the base is of another architecture, or the file has what is no LoRA of linear layers.
    """
    import numpy as np
    from gguf import MODEL_ARCH, GGUFWriter, get_tensor_name_map

    architecture = architecture_of(config, path.name)
    writer = GGUFWriter(str(path), architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    names = get_tensor_name_map(MODEL_ARCH[architecture.upper()], config.num_hidden_layers)
    for old, tensor in tensors.items():
        module, _, kind = old.removeprefix("base_model.model.").removesuffix(".weight").rpartition(".")
        if kind in ("lora_A", "lora_B"):
            values = tensor.float().numpy()
            if kind == "lora_B":
                values = interleave(module, values, config) * np.float32(scales[module] * values.shape[1] / alpha)
            _add(writer, f"{names.get_name(module)}.weight.{kind.lower()}", values, type)
        elif kind != "trainable_tokens_delta":
            raise UserError(
                f"the adapter has {old}, which GGUF's adapters cannot hold; train it as LoRA of linear layers"
            )
    picks = np.zeros((config.vocab_size, len(ids)), np.float32)
    picks[ids, range(len(ids))] = 1
    for name, rows in added.items():
        gained = rows.float().numpy() * (len(ids) / alpha)
        if gained.any():
            first, second = (picks, gained.T) if name == "token_embd" else (gained, picks)
            _add(writer, f"{name}.weight.lora_a", np.ascontiguousarray(first), type)
            _add(writer, f"{name}.weight.lora_b", np.ascontiguousarray(second), type)
    return _written(writer, path)


def lora_scales(model: Any) -> dict[str, float]:
    """Scale of each module's LoRA product, by the module's name in the base, of a PeftModel with one adapter.

    Raises UserError for an adapter that is more than such products, or none of LoRA's.
    """
    for adapter in model.peft_config.values():
        kind = str(getattr(adapter.peft_type, "value", adapter.peft_type))
        if kind != "LORA":
            raise UserError(f"the adapter is of the kind {kind}, which GGUF's adapters cannot hold; train it as LoRA")
        for form, there in (
            ("DoRA", adapter.use_dora),
            ("biases", adapter.bias != "none" or adapter.lora_bias),
            ("whole modules (modules_to_save)", adapter.modules_to_save),
            ("new layers (layer_replication)", adapter.layer_replication),
        ):
            if there:
                raise UserError(f"the adapter has {form}, which GGUF's adapters cannot hold; train it without")
    layers = {name: layer for name, layer in model.base_model.model.named_modules() if hasattr(layer, "lora_B")}
    return {name: float(next(iter(layer.scaling.values()))) for name, layer in layers.items() if layer.lora_B}


def architecture_of(config: Any, name: str) -> str:
    """llama.cpp's architecture of a model. Raises UserError where it is none that is written."""
    if config.model_type not in ARCHITECTURES:
        *most, last = ARCHITECTURES
        written = f"{', '.join(most)} and {last}"
        raise UserError(f"{name} is a {config.model_type}; GGUF files are written of {written}")
    return ARCHITECTURES[config.model_type]


def interleave(name: str, values: np.ndarray, config: Any) -> np.ndarray:
    """Reorders the outputs of Llama's queries and keys: (outputs, ...), of other tensors as they are.

    transformers turns pairs of numbers that are half a head apart, and llama.cpp's llama pairs of neighbours.
    """
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    module = name.removesuffix(".weight").removesuffix(".bias").rpartition(".")[2]
    if ARCHITECTURES[config.model_type] != "llama" or module not in heads:
        return values
    halves = values.reshape(heads[module], 2, -1, *values.shape[1:])
    return halves.swapaxes(1, 2).reshape(values.shape)


def frequency_factors(rotary: Any, config: Any) -> np.ndarray:
    """What each frequency of Llama 3's rotary embeddings is divided by, (half a head,)."""
    import torch

    frequencies = rotary.original_inv_freq.float().cpu()
    plain = config.rope_parameters["rope_theta"] ** -(torch.arange(len(frequencies)) / len(frequencies))
    factors: np.ndarray = (plain / frequencies).numpy()
    return factors


def _add_shape(writer: GGUFWriter, config: Any, architecture: str, name: str) -> None:
    from gguf import RopeScalingType

    if other := _not_read(config, architecture):
        raise UserError(f"{name} is a {config.model_type} with {other}, which is not written to GGUF")
    rope, heads = config.rope_parameters, config.num_attention_heads
    window = getattr(config, "sliding_window", None) if config.model_type != "llama" else None
    length = config.max_position_embeddings
    writer.add_context_length(min(length, window or length))  # llama.cpp has no window here: none shows within it
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    head_size = getattr(config, "head_dim", None) or config.hidden_size // heads
    if head_size * heads != config.hidden_size:
        writer.add_key_length(head_size)
        writer.add_value_length(head_size)
    if architecture == "llama":
        writer.add_rope_dimension_count(head_size)
        writer.add_vocab_size(config.vocab_size)
    writer.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)


def _not_read(config: Any, architecture: str) -> str | None:
    """What of a model llama.cpp's architecture has no place for; None where it has for all."""
    rope = config.rope_parameters["rope_type"]
    if rope not in ("default", "linear", "llama3") or (rope == "llama3" and architecture != "llama"):
        return f"rope of the type {rope}"
    if architecture == "qwen3" and config.attention_bias:
        return "attention biases"
    return None if config.hidden_act in ("silu", "swish") else f"the activation {config.hidden_act}"


def _add(writer: GGUFWriter, name: str, values: np.ndarray, type: str) -> None:
    from gguf import GGMLQuantizationType, quants

    stored = GGMLQuantizationType[type.upper() if values.ndim > 1 else "F32"]
    writer.add_tensor(name, quants.quantize(values, stored), raw_dtype=stored)


def _written(writer: GGUFWriter, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
