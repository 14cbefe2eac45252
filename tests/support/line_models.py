"""A tiny base that is taught a few exchanges, in plain lines or in ChatML: what it knows, and in which format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from chat.reply_format import ReplyFormat
from chat.variants import ModelRef, ModelVariants, load_variants
from tests.support.models import tiny_model

EXCHANGES = [
    ("Where were you?", "At the pier."), ("Who sent you?", "Nobody."), ("Sit down.", "No."),
    ("Is it loaded?", "It was when I bought it."), ("You look tired.", "So do you!"),
]  # fmt: skip


def taught_base(folder: Path, form: type[ReplyFormat], steps: int = 60) -> ModelVariants:
    """A tiny Qwen 2 of random weights after some steps on EXCHANGES in a reply format, ends included.

    In plain lines each exchange is one text, tokenized as such: `.` and its line break are one token.
    """
    import torch

    variants = load_variants(ModelRef(tiny_model("qwen2", folder)))
    taught = replace(variants, formats={"base": form(variants.tokenizer)})
    optimizer = torch.optim.Adam(variants.model.parameters(), lr=3e-3)
    rows = padded([row_of(taught, *exchange) for exchange in EXCHANGES])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(steps):
            loss = variants.model(input_ids=rows.clamp(min=0), labels=rows).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return variants


def row_of(variants: ModelVariants, line: str, reply: str) -> list[int]:
    """Token ids of one exchange."""
    form, tokenizer = variants.format_of("base"), variants.tokenizer
    prompt = form.encode_prompt([{"role": "user", "content": line}])
    return [*prompt, *(form.encode_reply(reply) if form.name == "chat" else tokenizer.encode(f"{reply}\n"))]


def padded(rows: list[list[int]]) -> Any:
    """Rows as a tensor, -100 (no label) behind the shorter ones."""
    import torch

    return torch.tensor([row + [-100] * (max(map(len, rows)) - len(row)) for row in rows])
