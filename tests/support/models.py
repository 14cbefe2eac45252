"""Models as the tests of several rooms ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from chat.variants import ModelRef


def refs(folders: Mapping[str, str | Path]) -> dict[str, ModelRef]:
    """Folders of this machine, by variant, as `load_variants` takes them."""
    return {variant: ModelRef(str(folder)) for variant, folder in folders.items()}


def random_adapter(base: str | Path, folder: str | Path, seed: int) -> str:
    """Saves a small random LoRA adapter of a base with trained ChatML tokens, as SFT would leave one; its folder.

    Args:
        base: folder with the starter's tokenizer in it.
        folder: where it goes.
        seed: of its weights.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from chat.template import configure_tokenizer

    torch.manual_seed(seed)  # of lora_A too, which PEFT draws
    config = LoraConfig(r=4, target_modules="all-linear", trainable_token_indices={"embed_tokens": [1, 2]})
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name or "trainable_tokens_delta" in name:
            parameter.data += 0.2 * torch.randn_like(parameter)
    model.save_pretrained(str(folder))
    configure_tokenizer(AutoTokenizer.from_pretrained(base)).save_pretrained(str(folder))
    return str(folder)
