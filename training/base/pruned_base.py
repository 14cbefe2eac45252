"""Making of a pruned base: what is kept of its vocabulary and layers, checked and measured on the way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from chat.likelihood import log_probs
from chat.template import encode_prompt, load_tokenizer
from chat.variants import ModelVariants
from hub.errors import UserError
from hub.lineage import Input
from hub.rights import rights_of_base
from hub.task import log_progress
from training.base.pruned_layers import remove_layers, skipped, useless_layers
from training.base.pruned_vocabulary import (
    check_spelling,
    kept_ids,
    named_ids,
    prune_rows,
    renumber,
    save_pruned_tokenizer,
)
from training.data.encode import encode, published_pairs

if TYPE_CHECKING:
    from torch import Tensor

    from chat.likelihood import Pair
    from training.recipe import Recipe

CHECKED = 4
"""Train prompts whose logits are compared before and after."""
MAX_CHANGE = 1e-3
"""Of the largest logit: the same sums in float32."""
ANY_LENGTH = 1 << 30


def pruned_base(recipe: Recipe, base: Input, dialogue: Input, folder: Path) -> tuple[dict[str, Path], dict[str, Any]]:
    """Writes a pruned base to a folder; returns its files by path, and what was kept and measured.

    Args:
        recipe: whose section `prune` counts.
        base: causal model with byte-level BPE.
        dialogue: dataset whose train pairs say which tokens are kept.
        folder: where it goes.

    Raises:
        UserError: the base cannot be pruned, or computes something else afterwards.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from chat.embeddings import make_room

    settings = recipe.prune
    pinned: dict[str, Any] = {"revision": base.revision}
    tokenizer = load_tokenizer(base.repo, base.revision)
    model: Any = AutoModelForCausalLM.from_pretrained(base.repo, dtype=torch.float32, **pinned).eval()
    make_room(model, tokenizer)
    if settings.layers and settings.layers >= (layers := len(getattr(model.get_decoder(), "layers", ()))):
        raise UserError(f"prune.layers is {settings.layers}, and {base.repo} has {layers} layers to go by; take fewer")
    rows, parameters = model.get_input_embeddings().num_embeddings, model.num_parameters()
    train = published_pairs(dialogue, None, settings.seed)
    held_out = prompt_replies(published_pairs(dialogue, settings.pairs, settings.seed, "validation"))
    lines = lines_of(train)
    named = named_ids(model.config, model.generation_config) & set(range(rows))
    kept = kept_ids(tokenizer, named | set(used_ids(tokenizer, train, lines, settings.min_count)))
    if kept[-1] >= rows:
        raise UserError(f"{base.repo} has tokens without rows in its embedding; resize_token_embeddings, save it again")
    pruned = save_pruned_tokenizer(tokenizer, kept, folder)
    whole = check_spelling(tokenizer, pruned, kept, lines)
    log_progress("prune", f"{len(kept):,} of {rows:,} rows; {whole:,} of {len(lines):,} train lines are of kept tokens")
    facts: dict[str, Any] = {
        "rows of the embedding": f"{len(kept):,} of {rows:,}",
        "distinct train lines spelled as before": f"{whole:,} of {len(lines):,}",
        "validation pairs": len(held_out),
        "nats per byte, whole": round(nats_per_byte(plain(model, tokenizer), "base", held_out), 4),
    }
    prune_vocabulary(model, tokenizer, pruned, kept, [prompt for prompt, _ in prompt_replies(train.slice(0, 1000))])
    facts["nats per byte, pruned vocabulary"] = round(nats_per_byte(plain(model, pruned), "base", held_out), 4)
    log_progress("prune", ", ".join(f"{name} {value}" for name, value in facts.items() if name.startswith("nats")))
    if settings.layers:
        facts |= prune_layers(model, pruned, held_out, settings.layers)
    facts["parameters"] = f"{model.num_parameters():,} of {parameters:,}"
    stored = AutoConfig.from_pretrained(base.repo, **pinned).dtype or torch.float32
    model.to(stored).save_pretrained(folder)
    return {file.name: file for file in sorted(folder.iterdir())}, facts | {"rights": rights_of_base(base).as_fact()}


def lines_of(pairs: pa.Table) -> list[str]:
    """Distinct texts of pairs as a script has them: on one line each, with its line break."""
    texts = pa.concat_arrays(
        [pairs[name].combine_chunks().values.field("content") for name in ("prompt", "completion")]
    )
    return list(dict.fromkeys(f"{' '.join(text.split())}\n" for text in texts.unique().to_pylist()))


def prompt_replies(pairs: pa.Table) -> list[Pair]:
    """Rows of the published dataset as prompts and replies."""
    return [(row["prompt"], row["completion"][0]["content"]) for row in pairs.to_pylist()]


def used_ids(tokenizer: Any, pairs: pa.Table, lines: Sequence[str], min_count: int) -> list[int]:
    """Ids that pairs have at least `min_count` times: in the chat format, or as plain lines.

    A base may be asked in either; they differ in the tokens that join the end of a line and its break.
    """
    in_chat = encode(tokenizer, pairs, ANY_LENGTH).table["input_ids"].combine_chunks().values.to_numpy()
    plain = tokenizer.backend_tokenizer.encode_batch_fast(list(lines), add_special_tokens=False)
    in_lines = np.fromiter((token for line in plain for token in line.ids), dtype=np.int64)
    return [int(token) for ids in (in_chat, in_lines) for token in np.flatnonzero(np.bincount(ids) >= min_count)]


def prune_vocabulary(model: Any, tokenizer: Any, pruned: Any, kept: list[int], prompts: Sequence[Any]) -> None:
    """Leaves the kept rows of a model, in place, and checks that its logits are what they were.

    Args:
        model: in float32.
        tokenizer: of all rows.
        pruned: of the kept ones.
        kept: of `kept_ids`.
        prompts: of which the first CHECKED of kept tokens are asked before and after.

    Raises:
        UserError: the prompts have other tokens, or the kept tokens other logits, than before.
    """
    new_ids = {old: new for new, old in enumerate(kept)}
    asked = [(prompt, ids) for prompt in prompts if new_ids.keys() >= set(ids := encode_prompt(tokenizer, prompt))]
    before = next_logits(model, [ids for _, ids in asked[:CHECKED]])[:, kept]
    prune_rows(model, kept)
    for config in (model.config, model.generation_config):
        renumber(config, new_ids)
    renumbered = [[new_ids[index] for index in ids] for _, ids in asked[:CHECKED]]
    error = float((next_logits(model, renumbered) - before).abs().max() / before.abs().max())
    if error > MAX_CHANGE or renumbered != [encode_prompt(pruned, prompt) for prompt, _ in asked[:CHECKED]]:
        raise UserError(
            f"{tokenizer.name_or_path} is another model with fewer rows (logits differ by {error:.1%}): it has more "
            "that goes by a token's number than embedding and head; keep it whole"
        )


def prune_layers(model: Any, tokenizer: Any, pairs: list[Pair], count: int) -> dict[str, Any]:
    """Removes the layers that are missed least, in place; returns which they are and what the loss becomes."""
    layers = len(model.get_decoder().layers)

    def loss(numbers: Sequence[int]) -> float:
        with skipped(model, numbers):
            return nats_per_byte(plain(model, tokenizer), "base", pairs)

    removed = []
    for number, value in useless_layers(loss, layers, count):
        log_progress("prune", f"without layer {number} of {layers}: {value:.4f} nats per byte")
        removed.append((number, value))
    remove_layers(model, [number for number, _ in removed])
    return {f"nats per byte, also without layer {number}": round(value, 4) for number, value in removed}


def nats_per_byte(variants: ModelVariants, name: str, pairs: list[Pair]) -> float:
    """Nats of the replies and their ends, over the bytes of their texts: comparable between vocabularies."""
    scores = log_probs(variants, name, pairs, batch_size=16)
    return -sum(map(sum, scores)) / sum(len(reply.encode()) for _, reply in pairs)


def plain(model: Any, tokenizer: Any) -> ModelVariants:
    """A model as the only variant."""
    return ModelVariants(model, tokenizer, ("base",))


def next_logits(model: Any, prompts: Sequence[Sequence[int]]) -> Tensor:
    """Logits of the token after each prompt of ids: (prompts, vocabulary)."""
    import torch

    with torch.inference_mode():
        return torch.stack([model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1] for ids in prompts])
