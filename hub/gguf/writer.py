"""GGUF files of a Qwen2 model and of a LoRA adapter on it, as llama.cpp reads them.

Sources: the GGUF specification (ggml/docs/gguf.md) and llama.cpp's `llama-adapter.cpp`, which says how an adapter's
tensors are laid out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from gguf import GGUFWriter

TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0")
"""What the matrices may be stored as; vectors (norms and biases) are always float32."""
QWEN2_SPLIT_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen 2.5's tokenizer takes text apart before its merges; llama.cpp has it by the name qwen2."""


def write_model(path: Path, model: Any, tokenizer: Any, name: str, type: str = "f32", own_head: bool = False) -> Path:
    """Writes a whole model: weights, hyperparameters, vocabulary and chat template.

    Args:
        path: of the file to write.
        model: a Qwen2ForCausalLM.
        tokenizer: a Qwen 2.5 tokenizer, with its chat template.
        name: for the metadata.
        type: one of TYPES.
        own_head: store a tied output head once more, under its own name. llama.cpp cannot add to the one tensor as
            embedding and as head, so a base that adapters with trained tokens stand on needs it.

    Raises:
        UserError: it is another architecture, or its tokenizer another than a Qwen2 one.
    """
    from gguf import MODEL_ARCH, GGUFWriter, LlamaFileType, get_tensor_name_map

    config = model.config
    if config.model_type != "qwen2":
        raise UserError(f"{name} is a {config.model_type}; GGUF files are written of qwen2 models alone")
    writer = GGUFWriter(str(path), "qwen2")
    writer.add_name(name)
    _add_shape(writer, config)
    files = LlamaFileType
    writer.add_file_type(files.ALL_F32 if type == "f32" else files[f"MOSTLY_{type.upper()}"])
    _add_vocabulary(writer, tokenizer, config.vocab_size)
    names = get_tensor_name_map(MODEL_ARCH.QWEN2, config.num_hidden_layers)
    for old, tensor in model.state_dict().items():
        tied = old == "lm_head.weight" and config.tie_word_embeddings
        if not tied or own_head:
            _add(writer, str(names.get_name(old, try_suffixes=(".weight", ".bias"))), tensor.float().numpy(), type)
    return _written(writer, path)


def write_adapter(path: Path, tensors: Mapping[str, Any], alpha: float, rows: Mapping[int, Any], size: int) -> Path:
    """Writes a LoRA adapter, trained tokens as a rank-n update of the embedding and of the head.

    What n trained tokens add to the embeddings is exactly a product of rank n: a matrix that picks their rows, times
    one that holds what is added. The base must have an untied head as a tensor (`write_model` with `own_head`).

    Args:
        path: of the file to write.
        tensors: of PEFT's adapter_model.safetensors, float32.
        alpha: llama.cpp multiplies each product with alpha over its rank, as PEFT does.
        rows: what is added to the embedding of each trained token, (width,), by id.
        size: of the vocabulary.
    """
    import numpy as np
    from gguf import MODEL_ARCH, GGUFWriter, get_tensor_name_map

    writer = GGUFWriter(str(path), "qwen2")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    layers = 1 + max(int(name.split(".layers.")[1].split(".")[0]) for name in tensors if ".layers." in name)
    names = get_tensor_name_map(MODEL_ARCH.QWEN2, layers)
    for old, tensor in tensors.items():
        module, _, kind = old.removeprefix("base_model.model.").removesuffix(".weight").rpartition(".")
        if kind in ("lora_A", "lora_B"):
            _add(writer, f"{names.get_name(module)}.weight.{kind.lower()}", tensor.float().numpy(), "f32")
    if rows:
        picks = np.zeros((size, len(rows)), np.float32)
        picks[list(rows), range(len(rows))] = 1
        added = np.stack([row.float().numpy() for row in rows.values()]) * (len(rows) / alpha)
        for name, first, second in (("token_embd", picks, added.T), ("output", added, picks)):
            _add(writer, f"{name}.weight.lora_a", np.ascontiguousarray(first), "f32")
            _add(writer, f"{name}.weight.lora_b", np.ascontiguousarray(second), "f32")
    return _written(writer, path)


def _add_shape(writer: GGUFWriter, config: Any) -> None:
    rope = config.rope_parameters
    if rope.get("rope_type", "default") != "default":
        raise UserError(f"rope of the type {rope['rope_type']} is not written to GGUF; export a model with the default")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)


def _add_vocabulary(writer: GGUFWriter, tokenizer: Any, size: int) -> None:
    """Tokens, their types and merges. An embedding row that the tokenizer has no token for is unused."""
    from gguf import TokenType

    inside = json.loads(tokenizer.backend_tokenizer.to_str())
    if QWEN2_SPLIT_PATTERN not in set(_regexes(inside["pre_tokenizer"])):
        raise UserError(
            "the tokenizer takes text apart otherwise than Qwen 2.5's; GGUF files are written of that alone"
        )
    added = {token["id"]: token for token in inside["added_tokens"]}
    normal = {index: token for token, index in inside["model"]["vocab"].items()}
    tokens, types = [], []
    for index in range(size):
        if index in added:
            tokens.append(added[index]["content"])
            types.append(TokenType.CONTROL if added[index]["special"] else TokenType.USER_DEFINED)
        else:
            tokens.append(normal.get(index, f"[PAD{index}]"))
            types.append(TokenType.NORMAL if index in normal else TokenType.UNUSED)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in inside["model"]["merges"]])
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_add_bos_token(False)
    writer.add_chat_template(tokenizer.chat_template)


def _regexes(part: Any) -> Iterator[str]:
    """Every pattern within the description of a pre-tokenizer."""
    if isinstance(part, dict):
        if isinstance(part.get("Regex"), str):
            yield part["Regex"]
        part = list(part.values())
    for inner in part if isinstance(part, list) else ():
        yield from _regexes(inner)


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
