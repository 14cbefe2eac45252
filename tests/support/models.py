"""Models as the tests of several rooms ask for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from chat.variants import ModelRef

STARTER = Path(__file__).parents[2] / "training" / "starter"


def refs(folders: Mapping[str, str | Path]) -> dict[str, ModelRef]:
    """Folders of this machine, by variant, as `load_variants` takes them."""
    return {variant: ModelRef(str(folder)) for variant, folder in folders.items()}


@cache
def starter_tokenizer() -> Any:
    """The starter's tokenizer, as the chain publishes it."""
    from transformers import AutoTokenizer

    from chat.template import configure_tokenizer

    return configure_tokenizer(AutoTokenizer.from_pretrained(STARTER))


def random_adapter(base: str | Path, folder: str | Path, seed: int, tokens: bool = True, **lora: Any) -> str:
    """Saves a small random LoRA adapter of a base, as SFT would leave one; its folder.

    Args:
        base: folder with the starter's tokenizer in it.
        folder: where it goes.
        seed: of its weights.
        tokens: whether the two ChatML tokens are trained.
        lora: further settings of PEFT's LoraConfig.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)  # of lora_A too, which PEFT draws
    trained = {"embed_tokens": [1, 2]} if tokens else None
    config = LoraConfig(**{"r": 4, "target_modules": "all-linear", "trainable_token_indices": trained, **lora})
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name or "trainable_tokens_delta" in name:
            parameter.data += 0.2 * torch.randn_like(parameter)
    model.save_pretrained(str(folder))
    starter_tokenizer().save_pretrained(str(folder))
    # not PEFT's card, which names the base by its folder: no Hub takes that
    Path(folder, "README.md").write_text("---\nlibrary_name: peft\n---\n\n# An adapter\n")
    return str(folder)


def without_chat_tokens(folder: str | Path) -> str:
    """Takes ChatML's tokens and its template out of a saved tokenizer, as of a base that has never seen them."""
    file, settings = Path(folder, "tokenizer.json"), Path(folder, "tokenizer_config.json")
    content = json.loads(file.read_text())
    content["added_tokens"] = [token for token in content["added_tokens"] if not token["content"].startswith("<|im_")]
    content["model"]["vocab"] = {
        token.replace("<|im_", "unused_"): number for token, number in content["model"]["vocab"].items()
    }
    file.write_text(json.dumps(content))
    kept = {
        key: value for key, value in json.loads(settings.read_text()).items()
        if key not in ("chat_template", "eos_token", "additional_special_tokens", "extra_special_tokens",
                       "added_tokens_decoder")
    }  # fmt: skip
    settings.write_text(json.dumps(kept | {"eos_token": "<|endoftext|>"}))
    Path(folder, "chat_template.jinja").unlink(missing_ok=True)
    return str(folder)


def tiny_model(kind: str, folder: str | Path, **settings: Any) -> str:
    """Saves a random model of two layers and width 64 with the starter's tokenizer; its folder.

    Its weights are larger than a new model's, norms and biases too, so that whatever is left out shows in the logits.

    Args:
        kind: transformers' model_type.
        folder: where it goes.
        settings: of its config, beside the sizes.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = starter_tokenizer()
    sizes = {"vocab_size": 8192, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512}  # fmt: skip
    tokens = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    config = AutoConfig.for_model(kind, **{**sizes, "initializer_range": 0.15, **tokens, **settings})
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.2 * torch.randn_like(parameter)
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return str(folder)
