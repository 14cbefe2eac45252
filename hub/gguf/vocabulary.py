"""The vocabulary of a GGUF file: tokens, merges, and by which name llama.cpp knows how text is taken apart before them.

Byte-level BPE alone. llama.cpp has the patterns in its code (`llama-vocab.cpp`), by the names of `SPLITS`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hub.errors import UserError

if TYPE_CHECKING:
    from gguf import GGUFWriter

BYTE_LEVEL, DIGITS = "ByteLevel", "Digits"
_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3 = _QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
SPLITS = {
    "gpt-2": ([BYTE_LEVEL], False),
    "smollm": ([DIGITS, BYTE_LEVEL], False),
    "qwen2": ([_QWEN2], False),
    "llama-bpe": ([_LLAMA3], True),
}
"""By llama.cpp's names: what splits a text, as `_splits` has it; and whether a whole word that is a token is taken as
that, whatever the merges would make of it."""


def add_vocabulary(writer: GGUFWriter, tokenizer: Any, size: int) -> None:
    """Adds tokens, their types and merges. An embedding row that the tokenizer has no token for is unused.

    Raises UserError for a tokenizer that is not known to llama.cpp.
    """
    from gguf import TokenType

    inside = json.loads(tokenizer.backend_tokenizer.to_str())
    split = split_name(inside)
    added = {token["id"]: token for token in inside["added_tokens"]}
    normal = {index: token for token, index in inside["model"]["vocab"].items()}
    tokens, types = [], []
    for index in range(size):
        if index in added:
            tokens.append(added[index]["content"])
            types.append(TokenType.CONTROL if added[index]["special"] else TokenType.USER_DEFINED)
        else:
            tokens.append(normal.get(index, f"[PAD{index}]"))
            types.append(TokenType.NORMAL if index in normal else TokenType.UNUSED)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(split)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in inside["model"]["merges"]])
    if tokenizer.bos_token_id is not None:
        writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_add_bos_token(False)
    writer.add_chat_template(tokenizer.chat_template)


def split_name(description: dict[str, Any]) -> str:
    """Names how a tokenizer, by its `tokenizer.json`, takes text apart; raises UserError where SPLITS has no name."""
    model, normalizer = description["model"], (description["normalizer"] or {}).get("type")
    found = _splits(description["pre_tokenizer"]), bool(model.get("ignore_merges"))
    bytewise = model["type"] == "BPE" and not model.get("byte_fallback") and normalizer in (None, "NFC")
    for name, known in SPLITS.items():
        if bytewise and found == known:
            return name
    kind = "a SentencePiece tokenizer" if model.get("byte_fallback") else f"a tokenizer ({model['type']}) of its own"
    raise UserError(f"this is {kind}; GGUF files are written of byte-level BPE that splits as {', '.join(SPLITS)} do")


def _splits(part: dict[str, Any] | None) -> list[str]:
    """What a pre-tokenizer splits by, in turn: patterns, or names of its kinds."""
    if part is None:
        return []
    kind = str(part["type"])
    if kind == "Sequence":
        return [split for inner in part["pretokenizers"] for split in _splits(inner)]
    if kind == "Split" and "Regex" in part["pattern"] and part["behavior"] == "Isolated" and not part["invert"]:
        return [str(part["pattern"]["Regex"])]
    if kind == BYTE_LEVEL and not part["add_prefix_space"]:
        return [BYTE_LEVEL] if part["use_regex"] else []
    if kind == DIGITS and part["individual_digits"]:
        return [DIGITS]
    return [f"{kind} of another kind"]
