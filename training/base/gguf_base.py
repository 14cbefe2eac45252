"""GGUF file as a base: its metadata, and its weights dequantized to bf16 safetensors."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from hub.errors import UserError
from training.base.model_folder import save_bf16


def convert_gguf(path: Path, work: Path) -> dict[str, Path]:
    """Writes a GGUF file's model and tokenizer as transformers saves them; path in the repository to file.

    Args:
        path: of the GGUF file.
        work: folder to write to.

    Raises:
        UserError: it holds no causal language model that transformers reads, or one larger than this machine's memory.
    """
    import torch
    from transformers import GgufConfig

    with read_once():
        check_memory(path.name, gguf_facts(path)["parameters"])
        reading = {"gguf_file": path.name, "dtype": torch.float32, "quantization_config": GgufConfig(dequantize=True)}
        return save_bf16(path.parent, work, **reading)


@contextmanager
def read_once() -> Iterator[None]:
    """Within it a GGUF file's metadata are parsed once.

    transformers 5.23 parses them for config, tokenizer and weights each, and maps the names of all tensors anew for
    every module of the model: half of what a small model's conversion takes.
    """
    import gguf

    before = {name: getattr(gguf, name) for name in ("GGUFReader", "get_tensor_name_map")}
    reader, names = cache(before["GGUFReader"]), cache(before["get_tensor_name_map"])
    gguf.GGUFReader = lambda path: reader(str(path))  # type: ignore[misc, assignment]
    gguf.get_tensor_name_map = names
    try:
        yield
    finally:
        for name, original in before.items():
            setattr(gguf, name, original)


@cache
def gguf_facts(path: Path) -> dict[str, Any]:
    """Facts of a GGUF file: architecture, name, license, quantization (of most weights), parameters.

    Raises:
        UserError: it is no GGUF file, or one of something else than a model.
    """
    from gguf import GGUFReader

    try:
        reader = GGUFReader(path)
    except (ValueError, OSError, IndexError, KeyError) as error:
        raise UserError(f"{path} is no readable GGUF file ({error}); get it again") from error

    def said(key: str) -> str | None:
        field = reader.get_field(f"general.{key}")
        return str(field.contents()) if field else None

    if (kind := said("type") or "model") != "model":
        raise UserError(f"{path.name} holds a GGUF {kind} and no model; give the file of a causal language model")
    weights: Counter[str] = Counter()
    for tensor in reader.tensors:
        weights[tensor.tensor_type.name] += int(tensor.n_elements)
    facts: dict[str, Any] = {name: said(name) for name in ("architecture", "name", "license")}
    facts |= {"quantization": weights.most_common(1)[0][0] if weights else None, "parameters": weights.total()}
    return {name: value for name, value in facts.items() if value is not None}


def check_memory(name: str, parameters: int) -> None:
    """Raises UserError where the weights in float32, as which they are read, are more than this machine's memory."""
    need, have = 4 * parameters, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if need > have:
        raise UserError(
            f"{name} has {parameters / 1e9:.1f}B parameters, {need / 1e9:.1f} GB in float32, and this machine "
            f"{have / 1e9:.1f} GB of memory; take a smaller base, or name a Hub id, which needs no conversion"
        )
