"""Prompts for the tests of the models and engines, and what an ordinary forward pass makes of them."""

from __future__ import annotations

from typing import Any

from chat.template import Message
from chat.variants import ModelVariants


def hooks(variants: ModelVariants) -> int:
    """How many hooks are left on the model between two calls."""
    with variants.exclusive():
        return sum(len(module._forward_pre_hooks) for module in variants.model.modules())


def user_prompts(*lines: str) -> list[list[Message]]:
    """One prompt for each line."""
    return [[{"role": "user", "content": line}] for line in lines]


EXCHANGES = [
    ("Where were you?", "At the pier."),
    ("Who sent you?", "Nobody. I came by myself."),
    ("Sit down.", "No."),
    ("Is it loaded?", "It was when I bought it."),
    ("You look tired.", "I have been up since the flood."),
    ("What do you want?", "The truth, and a cup of coffee."),
]
"""Lines with the reply to each."""

NAMES = ["dpo", "base", "sft", "sft"]
PROMPTS = user_prompts(
    "Where were you last night?", "No.", "I have been thinking about it for a long, long while now.", "Go!"
)
"""Of four rows; NAMES are the variants that answer them."""


def of_peft(model, ids) -> Any:
    """The logits after every token of one row, from a model that has but one variant."""
    import torch

    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids])).logits[0]
