"""Model files as `model_info` tells of them: parameters by type and config; and the bases that the card names."""

from __future__ import annotations

import json
import math
from collections import Counter
from contextlib import suppress
from typing import Any

from dulwich.objects import Commit

from hub.local.files import File
from hub.local.json_shapes import Json
from hub.local.repository import Repository

LARGEST_HEADER = 25_000_000  # bytes; what huggingface_hub reads of one


def model_facts(repo: Repository, commit: Commit, card: Json) -> Json:
    """Fields of a model's info; one that the files do not give is left out, as on the real Hub."""
    files = {file.path: file for file in repo.files(commit)}
    weights = [file for path, file in files.items() if "/" not in path and path.endswith(".safetensors")]
    whole = [file for file in weights if not file.path.startswith("adapter_")] or weights
    facts = {"safetensors": _parameters(repo, whole), "config": _config(repo, files), "baseModels": _bases(card)}
    return {name: value for name, value in facts.items() if value}


def _parameters(repo: Repository, weights: list[File]) -> Json:
    counts = Counter[str]()
    for file in weights:
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):  # a file that is only called so
            counts.update(_count(_header(repo, file)))
    return {"parameters": dict(counts), "total": counts.total()} if counts else {}


def _header(repo: Repository, file: File) -> dict[str, Any]:
    with repo.large_path(file).open("rb") as content:
        size = int.from_bytes(content.read(8), "little")
        header: dict[str, Any] = json.loads(content.read(size)) if size <= LARGEST_HEADER else {}
    return header


def _count(header: dict[str, Any]) -> Counter[str]:
    counts = Counter[str]()
    for name, tensor in header.items():
        if name != "__metadata__":
            counts[tensor["dtype"]] += math.prod(tensor["shape"])
    return counts


def _config(repo: Repository, files: dict[str, File]) -> Json:
    if "config.json" not in files or files["config.json"].large:
        return {}
    with suppress(ValueError):
        config = json.loads(repo.content(files["config.json"]))
        if isinstance(config, dict):
            return {name: config[name] for name in ("architectures", "model_type") if name in config}
    return {}


def _bases(card: Json) -> Json:
    named = card.get("base_model") or []
    bases = [str(base) for base in (named if isinstance(named, list) else [named])]
    relation = card.get("base_model_relation", "finetune")
    return {"relation": relation, "models": [{"_id": base, "id": base} for base in bases]} if bases else {}
