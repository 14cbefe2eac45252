"""A small adapter, for tests in which what it has learned is not the point."""

import pytest


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
