"""Each variant by itself, to compare the mixed ones with."""

from __future__ import annotations

import pytest

from chat.template import configure_tokenizer


@pytest.fixture(scope="session")
def tokenizer(starter):
    from transformers import AutoTokenizer

    return configure_tokenizer(AutoTokenizer.from_pretrained(starter))


@pytest.fixture(scope="session")
def alone(starter, adapters):
    """Each variant as a model of its own: no mixing, nothing of ours in between."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    models = {"base": AutoModelForCausalLM.from_pretrained(starter, dtype=torch.float32).eval()}
    for name, folder in adapters.items():
        base = AutoModelForCausalLM.from_pretrained(starter, dtype=torch.float32)
        models[name] = PeftModel.from_pretrained(base, folder).eval()
    return models


@pytest.fixture
def endless(monkeypatch):
    """Replies that run to their full length: the stop tokens are ones that no reply holds."""
    for room in ("reply_format", "engine.local"):
        monkeypatch.setattr(f"chat.{room}.stop_ids", lambda tokenizer: {"<|im_end|>": 8190, "<|endoftext|>": 8191})
