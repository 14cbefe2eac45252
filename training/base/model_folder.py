"""Model folder: the files of a causal language model as transformers saves them, sharded or not."""

from __future__ import annotations

import fnmatch
import json
from pathlib import Path
from typing import Any

from hub.errors import UserError

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
"""A tokenizer has one of these."""
PUBLISHED = (
    "config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json", *TOKENIZERS, "merges.txt",
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja", "LICENSE*",
)  # fmt: skip


def weight_files(folder: Path) -> list[Path]:
    """The files that hold the weights: safetensors, or else pickled ones, which are converted.

    Raises:
        UserError: it is no folder of a model; the line says what is missing.
    """
    weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    missing = [name for name in ("config.json",) if not (folder / name).exists()]
    missing += [] if weights else ["model.safetensors"]
    missing += [] if any((folder / name).exists() for name in TOKENIZERS) else ["tokenizer.json"]
    if missing:
        raise UserError(
            f"{folder} is no model folder: {', '.join(missing)} missing; give one that save_pretrained has written, "
            "with the tokenizer beside the weights"
        )
    return weights


def folder_files(folder: Path, work: Path) -> dict[str, Path]:
    """Published files of a folder, by path in the repository: its own where they are bf16 safetensors, else new ones.

    Args:
        folder: of the model.
        work: where converted weights go.

    Raises:
        UserError: transformers cannot read it as a causal language model.
    """
    if stored_in_bf16(folder):
        config = json.loads((folder / "config.json").read_text("utf-8"))
        from transformers import CONFIG_MAPPING
        from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

        kind = config.get("model_type")
        if kind in CONFIG_MAPPING and kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
            raise UserError(f"{folder} holds a {kind}, which is no causal language model; give one that is")
        names = sorted(file.name for file in folder.iterdir() if file.is_file())
        return {name: folder / name for name in names if any(fnmatch.fnmatch(name, one) for one in PUBLISHED)}
    return save_bf16(folder, work)


def stored_in_bf16(folder: Path) -> bool:
    """Whether every floating-point tensor of a model folder is bf16, by the headers of its safetensors."""
    from safetensors import safe_open

    kinds = set()
    for file in weight_files(folder):
        if file.suffix != ".safetensors":
            return False
        with safe_open(file, "pt") as tensors:
            kinds |= {tensors.get_slice(name).get_dtype() for name in tensors.keys()}  # noqa: SIM118 - no mapping
    return not {kind for kind in kinds if kind.startswith("F")}


def save_bf16(source: Path, work: Path, **reading: Any) -> dict[str, Path]:
    """Loads a causal language model and its tokenizer, and saves both in bf16; path in the repository to file.

    Args:
        source: folder to read from.
        work: folder to write to.
        reading: further arguments of both `from_pretrained`, such as `gguf_file`.

    Raises:
        UserError: transformers cannot read it as a causal language model.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **{k: v for k, v in reading.items() if k == "gguf_file"})
        model: Any = AutoModelForCausalLM.from_pretrained(source, **{"dtype": torch.bfloat16, **reading})
    except (ValueError, OSError, KeyError, TypeError, NotImplementedError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        name = reading.get("gguf_file", source.name)
        raise UserError(f"{name} cannot be read as a causal language model by transformers ({reason})") from error
    model.to(torch.bfloat16).save_pretrained(work)
    tokenizer.save_pretrained(work)
    return {file.name: file for file in sorted(work.iterdir()) if file.is_file()}
