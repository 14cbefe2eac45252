"""Pruned vocabulary of a causal model with byte-level BPE: fewer rows of its embedding and head, a tokenizer for them.

The tokens that are seen in a domain are kept (Abdaoui et al., 2020), and with each of them every token that a merge
makes it of, every byte and every added token. Then a text whose tokens are all kept has the same tokens as before: the
merges that made them are kept in their order, and those that are gone were never the next (shown below). Any other text
is spelled by smaller tokens, down to bytes.

Why the same: BPE takes the first merge in the list that fits anywhere, again and again, and undoes none. So each merge
it takes makes a token inside the tree of a final token, which is kept; of fewer merges the first that fits is the same.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hub.errors import UserError

MULTIPLE = 128
"""Rows are a multiple of it, for the kernels of GPUs and of llama.cpp."""


def kept_ids(tokenizer: Any, wanted: Iterable[int]) -> list[int]:
    """Ids that a pruned vocabulary keeps, ascending: id n of them is n afterwards.

    Kept are the wanted ids, what merges make them of, every byte and every added token; then, up to a multiple of
    MULTIPLE, the tokens of the lowest ids, which are the most general.

    Raises:
        UserError: the tokenizer is no byte-level BPE.
    """
    description = _description(tokenizer)
    model, added = description["model"], {token["id"] for token in description["added_tokens"]}
    vocabulary: dict[str, int] = model["vocab"]
    parts: defaultdict[int, set[int]] = defaultdict(set)
    for first, second in _merges(model):
        parts[vocabulary[first + second]] |= {vocabulary[first], vocabulary[second]}
    letters = {index for token, index in vocabulary.items() if len(token) == 1}
    kept: set[int] = set()
    waiting = [*wanted, *added, *letters]
    while waiting:
        if (token := waiting.pop()) not in kept:
            kept.add(token)
            waiting += parts[token]
    for token in sorted(vocabulary.values()):
        if len(kept) % MULTIPLE == 0:
            break
        if parts[token] <= kept:
            kept.add(token)
    return sorted(kept)


def save_pruned_tokenizer(tokenizer: Any, kept: list[int], folder: Path) -> Any:
    """Saves a tokenizer with the kept ids alone, numbered through, and returns it as it is read from there.

    Args:
        tokenizer: fast, with byte-level BPE.
        kept: of `kept_ids`.
        folder: where its files go.
    """
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(folder)
    file, settings = folder / "tokenizer.json", folder / "tokenizer_config.json"
    new_ids = {old: new for new, old in enumerate(kept)}
    content = json.loads(file.read_text("utf-8"))
    model = content["model"]
    vocabulary = {token: new_ids[index] for token, index in model["vocab"].items() if index in new_ids}
    model["merges"] = [
        [first, second] for first, second in _merges(model) if {first, second, first + second} <= vocabulary.keys()
    ]
    model["vocab"] = dict(sorted(vocabulary.items(), key=lambda entry: entry[1]))
    content["added_tokens"] = [{**token, "id": new_ids[token["id"]]} for token in content["added_tokens"]]
    for part in _processors(content["post_processor"]):
        for token in part.get("special_tokens", {}).values():
            token["ids"] = [new_ids[index] for index in token["ids"]]
    file.write_text(json.dumps(content, ensure_ascii=False), "utf-8")
    stated = json.loads(settings.read_text("utf-8"))
    if decoder := stated.get("added_tokens_decoder"):
        stated["added_tokens_decoder"] = {str(new_ids[int(index)]): token for index, token in decoder.items()}
        settings.write_text(json.dumps(stated, indent=2, ensure_ascii=False), "utf-8")
    return AutoTokenizer.from_pretrained(folder)


def check_spelling(tokenizer: Any, pruned: Any, kept: list[int], texts: list[str]) -> int:
    """Checks a pruned tokenizer on texts; returns how many of them have all of their tokens kept.

    Raises:
        UserError: one of those has other tokens than before, or any text is another after decoding.
    """
    new_ids = {old: new for new, old in enumerate(kept)}
    before, after = (
        one.backend_tokenizer.encode_batch_fast(texts, add_special_tokens=False) for one in (tokenizer, pruned)
    )
    same = 0
    for text, old, new in zip(texts, before, after, strict=True):
        whole = all(index in new_ids for index in old.ids)
        same += whole
        if (
            [new_ids[index] for index in old.ids] != new.ids
            if whole
            else (
                tokenizer.backend_tokenizer.decode(old.ids, skip_special_tokens=False)
                != pruned.backend_tokenizer.decode(new.ids, skip_special_tokens=False)
            )
        ):
            raise UserError(
                f"the pruned tokenizer of {tokenizer.name_or_path} does not spell {text[:60]!r} as before; "
                "its BPE is of a kind that cannot be pruned here: keep the base whole"
            )
    return same


def prune_rows(model: Any, kept: list[int]) -> None:
    """Leaves the kept rows of a causal model's embedding and head, in place: (rows, width) to (kept, width)."""
    import torch

    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    found = (embedding.weight, getattr(head, "weight", None), getattr(head, "bias", None))
    with torch.no_grad():
        for rows in {id(one): one for one in found if one is not None}.values():  # a tied head is the embedding
            rows[: len(kept)] = rows[kept]
    model.resize_token_embeddings(len(kept), mean_resizing=False)


def renumber(config: Any, new_ids: Mapping[int, int]) -> None:
    """Gives the ids that a config names (`eos_token_id` and others) their new numbers, in place; those gone are out.

    Args:
        config: of a model or of its generation.
        new_ids: number before to number after, of the tokens that are kept.
    """
    for name, value in token_ids(config).items():
        numbers = [new_ids[index] for index in _listed(value) if index in new_ids]
        setattr(config, name, numbers if isinstance(value, list) else next(iter(numbers), None))


def token_ids(config: Any) -> dict[str, int | list[int]]:
    """The ids that a model's config or generation config names, by field."""
    return {name: value for name, value in config.to_dict().items() if name.endswith("_token_id") and _listed(value)}


def named_ids(*configs: Any) -> set[int]:
    """All ids that configs name."""
    return {index for config in configs for value in token_ids(config).values() for index in _listed(value)}


def _listed(value: Any) -> list[int]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _description(tokenizer: Any) -> dict[str, Any]:
    """A tokenizer as its `tokenizer.json` has it. Raises UserError where it is no byte-level BPE."""
    content: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    model, kind = content["model"], "ByteLevel"
    affixes = (model.get("continuing_subword_prefix"), model.get("end_of_word_suffix"))
    cut = json.dumps(content["pre_tokenizer"])
    if model["type"] != "BPE" or model.get("byte_fallback") or any(affixes) or f'"type": "{kind}"' not in cut:
        raise UserError(
            f"{tokenizer.name_or_path} has a tokenizer ({model['type']}) that is no byte-level BPE, of which alone a "
            "vocabulary is pruned; keep the base whole"
        )
    for part in _processors(content["post_processor"]):
        if part["type"] not in ("Sequence", "ByteLevel", "TemplateProcessing"):
            raise UserError(
                f"{tokenizer.name_or_path} puts tokens around a text by {part['type']}, which is not renumbered here; "
                "keep the base whole"
            )
    return content


def _processors(part: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """A post-processor and those inside it."""
    if part:
        yield part
        for inner in part.get("processors", []):
            yield from _processors(inner)


def _merges(model: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for pair in model["merges"]:
        first, second = pair.split(" ") if isinstance(pair, str) else pair
        yield first, second
