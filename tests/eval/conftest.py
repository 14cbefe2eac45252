"""The starter with two small random adapters on it, and prompts in the form of the dialogue dataset."""

from __future__ import annotations

import pytest

from chat import voices as chat_voices
from chat.template import SYSTEM_PROMPT, adopt

LINES = [
    ("Where were you?", "At the pier."),
    ("Who sent you?", "Nobody. I came by myself."),
    ("Sit down.", "No."),
    ("Is it loaded?", "It was when I bought it."),
    ("You look tired.", "I have been up since the flood."),
    ("What do you want?", "The truth, and a cup of coffee."),
]


@pytest.fixture(scope="session")
def adapters(starter, tmp_path_factory):
    """Voice to folder: a LoRA that changes what is said, with trained ChatML tokens."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folders = {}
    for seed, name in enumerate(("sft", "dpo"), start=1):
        base = AutoModelForCausalLM.from_pretrained(starter, dtype=torch.float32)
        config = LoraConfig(r=4, target_modules="all-linear", trainable_token_indices={"embed_tokens": [1, 2]})
        model = get_peft_model(base, config)
        torch.manual_seed(seed)
        for parameter_name, parameter in model.named_parameters():
            if "lora_B" in parameter_name:
                parameter.data += 0.1 * torch.randn_like(parameter)
        folders[name] = str(tmp_path_factory.mktemp(name))
        model.save_pretrained(folders[name])
        adopt(AutoTokenizer.from_pretrained(starter)).save_pretrained(folders[name])
    return folders


@pytest.fixture(scope="session")
def voices(starter, adapters):
    return chat_voices.load(str(starter), adapters)


@pytest.fixture
def rows():
    """One pair a conversation, two conversations a film."""
    return [
        {
            "prompt": [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": line}],
            "completion": [{"role": "assistant", "content": reply}],
            "movie_id": f"m{index // 2}",
            "movie_title": f"film {index // 2}",
            "conversation_id": f"c{index}",
            "line_ids": [f"L{2 * index}", f"L{2 * index + 1}"],
        }
        for index, (line, reply) in enumerate(LINES)
    ]
