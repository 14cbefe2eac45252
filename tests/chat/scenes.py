"""What the tests of this room say to the models, and ask about them."""

from __future__ import annotations

from chat.template import Message
from chat.variants import ModelVariants


def hooks(variants: ModelVariants) -> int:
    """How many hooks are left on the model between two calls."""
    with variants.exclusive():
        return sum(len(module._forward_pre_hooks) for module in variants.model.modules())


def asked(*lines: str) -> list[list[Message]]:
    """One prompt for each line."""
    return [[{"role": "user", "content": line}] for line in lines]
