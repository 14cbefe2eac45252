"""The starter with two small random adapters on it, as SFT and DPO would leave them, and each by itself to compare."""

from __future__ import annotations

import pytest

from chat import voices as chat_voices
from chat.template import adopt


@pytest.fixture(scope="session")
def tokenizer(starter):
    from transformers import AutoTokenizer

    return adopt(AutoTokenizer.from_pretrained(starter))


@pytest.fixture(scope="session")
def adapters(starter, tmp_path_factory):
    """Voice to folder: LoRA on all linear layers and trained ChatML tokens, on tied embeddings."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folders = {}
    for seed, name in enumerate(("sft", "dpo"), start=1):
        base = AutoModelForCausalLM.from_pretrained(starter, dtype=torch.float32)
        config = LoraConfig(r=4, target_modules="all-linear", trainable_token_indices={"embed_tokens": [1, 2]})
        model = get_peft_model(base, config)
        torch.manual_seed(seed)
        for parameter_name, parameter in model.named_parameters():
            if "lora_B" in parameter_name or "trainable_tokens_delta" in parameter_name:
                parameter.data += 0.2 * torch.randn_like(parameter)
        folders[name] = str(tmp_path_factory.mktemp(name))
        model.save_pretrained(folders[name])
    return folders


@pytest.fixture(scope="session")
def voices(starter, adapters):
    """All three voices on one base. Tests leave it as it was."""
    return chat_voices.load(str(starter), adapters)


@pytest.fixture(scope="session")
def alone(starter, adapters):
    """Each voice as a model of its own: no mixing, nothing of ours in between."""
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
    monkeypatch.setattr("chat.generate.stop_ids", lambda tokenizer: {"<|im_end|>": 8190, "<|endoftext|>": 8191})
