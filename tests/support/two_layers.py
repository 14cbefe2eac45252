"""The starter cut to its first two layers, and two random adapters on it: for tests of plumbing, not of the model."""

from __future__ import annotations

from pathlib import Path


def two_layer_models(starter: Path, folder: Path) -> tuple[Path, dict[str, str]]:
    """Writes base and adapters below a folder; returns the base's folder, and the adapters' by variant."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from chat.template import configure_tokenizer

    config = AutoConfig.from_pretrained(starter)
    config.num_hidden_layers, config.layer_types = 2, config.layer_types[:2]
    AutoModelForCausalLM.from_pretrained(starter, config=config, dtype=torch.float32).save_pretrained(folder / "base")
    AutoTokenizer.from_pretrained(starter).save_pretrained(folder / "base")
    adapters = {}
    for seed, name in enumerate(("sft", "dpo"), start=1):
        base = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32)
        lora = LoraConfig(r=4, target_modules="all-linear", trainable_token_indices={"embed_tokens": [1, 2]})
        model = get_peft_model(base, lora)
        torch.manual_seed(seed)
        for parameter_name, parameter in model.named_parameters():
            if "lora_B" in parameter_name or "trainable_tokens_delta" in parameter_name:
                parameter.data += 0.2 * torch.randn_like(parameter)
        adapters[name] = str(folder / name)
        model.save_pretrained(adapters[name])
        configure_tokenizer(AutoTokenizer.from_pretrained(starter)).save_pretrained(adapters[name])
    return folder / "base", adapters
