"""Preference pairs as the trainers take them: filters, held-out split, rendering."""

from __future__ import annotations

import copy
import math
import random
from difflib import SequenceMatcher
from typing import Any

from chat.own_format import OwnFormat
from chat.template import break_control_tokens, broken_messages, chat_format, encode_prompt, encode_reply
from hub.errors import UserError
from hub.lineage import Input, fetch_lineage
from training.recipe import Recipe


def same_base(base: Input, source: Input) -> None:
    """Raises UserError where an input was made with another base model, as its lineage says."""
    found = fetch_lineage(source.repo, source.type, source.revision)
    bases = [made for made in found[1].inputs if made.type == "model"] if found else []
    if bases and base.content not in {made.content for made in bases}:
        raise UserError(
            f"{source.repo} was made with {bases[0].repo}@{bases[0].revision[:12]}, not with {base.repo}@"
            f"{base.revision[:12]}; make it again with this recipe, or name that base in model.base and model.revision"
        )


def kept_pairs(
    tokenizer: Any, preferences: Input, recipe: Recipe, max_length: int | None
) -> tuple[list[Any], dict[str, Any]]:
    """The preference rows that teach something, and how many were left out and why."""
    from datasets import load_dataset

    rows = load_dataset(preferences.repo, "preferences", split="train", revision=preferences.revision)
    fits = [row for row in rows if longest(tokenizer, row) <= (max_length or math.inf)]
    kept = [row for row in fits if text_similarity(row) <= recipe.dpo.max_similarity and text_similarity(row) < 1]
    if not kept:
        raise UserError(
            f"none of {len(rows)} preference pairs is left: {len(rows) - len(fits)} are longer than max_length="
            f"{max_length} tokens, the rest too alike; raise dpo.max_length or dpo.max_similarity"
        )
    sides = {
        side: [len(encode_reply(tokenizer, row[side][0]["content"])) for row in kept] for side in ("chosen", "rejected")
    }
    counts = {
        "pairs": len(kept),
        "pairs over max_length, dropped": len(rows) - len(fits),
        "near-identical pairs, dropped": len(fits) - len(kept),
        **{f"tokens of {side} replies, mean": round(sum(found) / len(found), 1) for side, found in sides.items()},
    }
    return kept, counts


def pair_sizes(tokenizer: Any, rows: list[Any], arguments: Any) -> dict[str, int]:
    """Sizes of a run over preference pairs, as `run_plan.plan_run` takes them: both replies go through the model.

    Args:
        tokenizer: of the base.
        rows: of one epoch.
        arguments: TRL's config.
    """
    lengths = [longest(tokenizer, row) for row in rows]
    batch = 2 * arguments.per_device_train_batch_size * max(lengths)
    return {"rows": len(rows), "tokens": 2 * sum(lengths), "largest_batch": batch}


def text_similarity(row: dict[str, Any]) -> float:
    """How alike the two replies are, from 0 to 1: difflib's ratio of their characters, case and spaces aside."""
    chosen, rejected = (" ".join(row[side][0]["content"].lower().split()) for side in ("chosen", "rejected"))
    return SequenceMatcher(None, chosen, rejected, autojunk=False).ratio()


def split(rows: list[Any], held_out: int | None, seed: int) -> tuple[list[Any], list[Any]]:
    """Train rows and held-out rows, drawn by seed. Raises UserError where nothing would be left to train on."""
    if not held_out:
        return rows, []
    if held_out >= len(rows):
        raise UserError(f"dpo.validation_pairs is {held_out} of {len(rows)} pairs; hold out fewer")
    shuffled = random.Random(seed).sample(rows, len(rows))
    return shuffled[held_out:], shuffled[:held_out]


def render_preference(tokenizer: Any, row: dict[str, Any]) -> dict[str, str]:
    """Renders a preference as text: TRL then ends both replies with the end of a turn alone, as SFT did.

    As `text_tokenizer` reads it, its tokens are those of `encode_prompt` and `encode_reply`.
    """
    chat = chat_format(tokenizer)
    replies = {
        side: chat.render_reply(break_control_tokens(tokenizer, row[side][0]["content"]))
        for side in ("chosen", "rejected")
    }
    return {"prompt": chat.render_prompt(broken_messages(tokenizer, row["prompt"])), **replies}


def text_tokenizer(tokenizer: Any) -> Any:
    """The tokenizer for rendered text: of a format in one piece a copy that puts no BOS before what has one."""
    if isinstance(chat_format(tokenizer), OwnFormat):
        tokenizer = copy.deepcopy(tokenizer)
        tokenizer.backend_tokenizer.post_processor = None
    return tokenizer


def longest(tokenizer: Any, row: dict[str, Any]) -> int:
    """Tokens of the prompt with the longer of its two replies: beyond `max_length` TRL would cut the reply."""
    replies = (row[side][0]["content"] for side in ("chosen", "rejected"))
    return len(encode_prompt(tokenizer, row["prompt"])) + max(len(encode_reply(tokenizer, reply)) for reply in replies)
