"""The starter cut to its first two layers, and two random adapters on it: for tests of plumbing, not of the model."""

from __future__ import annotations

from pathlib import Path

from tests.support.models import random_adapter


def two_layer_models(starter: Path, folder: Path) -> tuple[Path, dict[str, str]]:
    """Writes base and adapters below a folder; returns the base's folder, and the adapters' by variant."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    base = folder / "base"
    config = AutoConfig.from_pretrained(starter)
    config.num_hidden_layers, config.layer_types = 2, config.layer_types[:2]
    AutoModelForCausalLM.from_pretrained(starter, config=config, dtype=torch.float32).save_pretrained(base)
    AutoTokenizer.from_pretrained(starter).save_pretrained(base)
    return base, {name: random_adapter(base, folder / name, seed) for seed, name in enumerate(("sft", "dpo"), 1)}
