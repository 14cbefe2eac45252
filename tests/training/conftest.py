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


@pytest.fixture(scope="session")
def tiny_adapter(starter, tiny_base, tmp_path_factory):
    """Folder of a small random adapter of it, with trained ChatML tokens, as SFT would leave one."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from chat.template import configure_tokenizer

    base = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
    config = LoraConfig(r=4, target_modules="all-linear", trainable_token_indices={"embed_tokens": [1, 2]})
    model = get_peft_model(base, config)
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name or "trainable_tokens_delta" in name:
            parameter.data += 0.2 * torch.randn_like(parameter)
    folder = str(tmp_path_factory.mktemp("sft"))
    model.save_pretrained(folder)
    configure_tokenizer(AutoTokenizer.from_pretrained(starter)).save_pretrained(folder)
    return folder
