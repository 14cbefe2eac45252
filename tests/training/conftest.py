"""A base model of two layers with the starter's tokenizer, for tests in which the starter itself is not the point."""

import json
import shutil

import pytest


@pytest.fixture(scope="session")
def tiny_base(starter, tmp_path_factory):
    """Folder of a random Qwen 2 of two layers and width 64, which can be published as the starter can."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path_factory.mktemp("tiny") / "base"
    config = json.loads((starter / "config.json").read_text())
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 2, "num_key_value_heads": 1}
    config |= {**sizes, "num_hidden_layers": 2, "layer_types": ["full_attention"] * 2}
    torch.manual_seed(0)
    Qwen2ForCausalLM(Qwen2Config(**config)).bfloat16().save_pretrained(folder)
    for name in ("generation_config.json", "tokenizer.json", "tokenizer_config.json", "training.json"):
        shutil.copy(starter / name, folder)
    return folder
