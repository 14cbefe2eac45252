"""Two greedy answers of one model in two programs: where they part, and how far apart the two best tokens are there."""

from __future__ import annotations

from typing import Any

from chat.template import Message, encode_prompt


def parting_gap(variants: Any, name: str, prompt: list[Message], ours: str, theirs: str) -> float | None:
    """Difference of the two best logits where a server's greedy answer parts from ours; None where they are the same.

    Args:
        variants: the models here, in float32.
        name: the variant that answered.
        prompt: its messages.
        ours: the local engine's text.
        theirs: the server's.
    """
    import torch

    if ours == theirs:
        return None
    tokenizer = variants.tokenizer
    said = tokenizer.encode(ours, add_special_tokens=False)
    common = next((n for n in range(len(said)) if not theirs.startswith(tokenizer.decode(said[: n + 1]))), len(said))
    ids = torch.tensor([encode_prompt(tokenizer, prompt) + said[:common]])
    adapter = "__base__" if name == "base" else name
    with variants.exclusive() as model, torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), adapter_names=[adapter]).logits[0, -1]
    best = logits.topk(2).values
    return float(best[0] - best[1])
