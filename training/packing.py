"""Pairs to tokens to packed rows: `python -m training.packing --recipe training/recipes/qwen2.5-3b.yaml` reports.

Every distinct text is encoded once, and rows are gathered from the pieces by numpy. The tokens are those of
`chat.template`, which the chat uses. Rows are filled whole pair by whole pair, and SFTTrainer keeps the pairs of a row
apart by `seq_lengths`. The report needs the tokenizer and the published dataset alone: what it says is known before any
GPU time is spent.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from chat.template import STOP
from hub.errors import UserError
from hub.lineage import Input, resolve
from training.base import base_input
from training.recipe import Recipe
from training.stage import command, say
from training.windows import between

if TYPE_CHECKING:
    from datasets import Dataset
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase
    from trl import SFTConfig

IGNORED = -100  # the label of a token that is not trained


@dataclass(frozen=True)
class Encoded:
    """Pairs as a trainer takes them."""

    table: pa.Table  # input_ids, and labels: the same on the reply and its end, IGNORED on the prompt
    dropped: int  # pairs of more than `max_length` tokens: left out, not cut
    dropped_reply_tokens: int

    @property
    def tokens(self) -> int:
        return len(self.table["labels"].combine_chunks().values)

    @property
    def reply_tokens(self) -> int:
        return int((self.table["labels"].combine_chunks().values.to_numpy() != IGNORED).sum())


def encode(tokenizer: PreTrainedTokenizerBase, pairs: pa.Table, max_length: int) -> Encoded:
    """Encodes the columns `prompt` and `completion` as `chat.template` does; pairs over `max_length` are left out.

    A pair is a row of pieces: of each message its head (`<|im_start|>`, role, newline), its text and its tail
    (`<|im_end|>`, newline), where the tail of the reply is `<|im_end|>` alone.
    """
    prompts, replies = (pairs[name].combine_chunks() for name in ("prompt", "completion"))
    roles = prompts.values.field("role").dictionary_encode()
    texts = pa.concat_arrays([prompts.values.field("content"), replies.values.field("content")]).dictionary_encode()
    text = texts.indices.to_numpy()
    plain = without_added_tokens(tokenizer)
    *heads, answer, newline = ids(plain, [*(f"{role}\n" for role in roles.dictionary.to_pylist()), "assistant\n", "\n"])
    start, stop = (tokenizer.get_vocab()[token] for token in ("<|im_start|>", STOP))
    pieces = [[start, *head] for head in (*heads, answer)] + [[stop, *newline], [stop]]
    first_text, (answer_head, tail, end) = len(pieces), range(len(heads), len(heads) + 3)
    pieces += ids(plain, texts.dictionary.to_pylist())

    offsets = prompts.offsets.to_numpy().astype(np.int64)
    of_row = np.repeat(np.arange(len(pairs)), np.diff(offsets))  # the pair that each message of a prompt belongs to
    message = 3 * (np.arange(len(of_row)) + of_row)  # where its pieces start: a reply's three come after each prompt
    reply = 3 * (offsets[1:] + np.arange(len(pairs)))
    order = np.empty(3 * (len(of_row) + len(pairs)), dtype=np.int64)
    order[message], order[message + 1], order[message + 2] = roles.indices, first_text + text[: len(of_row)], tail
    order[reply], order[reply + 1], order[reply + 2] = answer_head, first_text + text[len(of_row) :], end

    lengths = np.array([len(piece) for piece in pieces])
    starts = np.cumsum(lengths) - lengths
    flat = np.fromiter((token for piece in pieces for token in piece), dtype=np.int32, count=int(lengths.sum()))
    _, places = between(starts[order], starts[order] + lengths[order] - 1)
    of_prompt = np.ones(len(order), dtype=bool)
    of_prompt[reply + 1] = of_prompt[reply + 2] = False
    tokens = flat[places]
    labels = np.where(np.repeat(of_prompt, lengths[order]), IGNORED, tokens)
    length = np.add.reduceat(lengths[order], reply - 3 * np.diff(offsets)) if len(pairs) else np.empty(0, np.int64)
    row_offsets = pa.array(np.concatenate([[0], np.cumsum(length)]).astype(np.int32))
    table = pa.table(
        {
            "input_ids": pa.ListArray.from_arrays(row_offsets, pa.array(tokens)),
            "labels": pa.ListArray.from_arrays(row_offsets, pa.array(labels)),
        }
    )
    fits = length <= max_length
    reply_length = lengths[order[reply + 1]] + lengths[order[reply + 2]]
    if not fits.any():
        raise UserError(f"every pair is longer than max_length={max_length} tokens; raise sft.max_length")
    return Encoded(table.filter(fits), int((~fits).sum()), int(reply_length[~fits].sum()))


def ids(plain: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [encoding.ids for encoding in plain.encode_batch_fast(texts, add_special_tokens=False)]


def without_added_tokens(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """The tokenizer in which every text is plain: `<tool_call>` and `<|im_end|>` are characters like others."""
    from tokenizers import Tokenizer

    content = json.loads(tokenizer.backend_tokenizer.to_str())
    return Tokenizer.from_str(json.dumps({**content, "added_tokens": [], "post_processor": None}))


def examples(encoded: Encoded, arguments: SFTConfig) -> Dataset:
    """What SFTTrainer trains on, in an order that the arguments' seed decides: pairs, packed where they say so.

    Returns:
        Columns `input_ids`, `labels` and, of packed rows, `seq_lengths`, the lengths of the pairs in the row.
    """
    from datasets import Dataset

    chance = np.random.default_rng(arguments.seed)
    if not arguments.packing:
        return Dataset(encoded.table.take(chance.permutation(len(encoded.table))))
    assert arguments.max_length is not None
    lengths = token_counts(encoded.table)
    rows = fill_rows(lengths.tolist(), arguments.max_length, chance.permutation(len(lengths)).tolist())
    chance.shuffle(rows)
    return joined(encoded.table, rows)


def token_counts(table: pa.Table) -> np.ndarray:
    """The tokens of each pair of `Encoded.table`, (pairs,)."""
    return np.diff(table["labels"].combine_chunks().offsets.to_numpy())


def joined(table: pa.Table, rows: list[list[int]]) -> Dataset:
    """The packed rows: of each, the pairs of `table` at these places, one behind the other, and their lengths."""
    from datasets import Dataset

    order = np.array([pair for row in rows for pair in row], dtype=np.int64)
    taken = table.take(order)
    lengths = token_counts(taken)
    pairs_before = np.cumsum([0, *map(len, rows)])
    tokens_before = np.concatenate([[0], np.cumsum(lengths)])[pairs_before]
    columns = {
        name: pa.ListArray.from_arrays(pa.array(tokens_before.astype(np.int32)), column.combine_chunks().flatten())
        for name, column in zip(taken.column_names, taken.columns, strict=True)
    }
    columns["seq_lengths"] = pa.ListArray.from_arrays(
        pa.array(pairs_before.astype(np.int32)), pa.array(lengths.astype(np.int64))
    )
    return Dataset(pa.table(columns))


def fill_rows(lengths: list[int], size: int, order: list[int]) -> list[list[int]]:
    """Packs pieces of these lengths, none over `size`, into rows of at most `size`; returns the pieces by row.

    A row takes pieces in the given order while more than a third of it is free, and is finished by one or two that fit
    exactly. A random order leaves odd lengths for every finish, so that hardly a token is lost; best fit decreasing
    packs like with like, and 1.4% of the tokens of the Cornell pairs would be padding.
    """
    by_length: dict[int, list[int]] = {}  # pieces, some of which may be used by now
    for piece in order:
        by_length.setdefault(lengths[piece], []).append(piece)
    free, used, upcoming = Counter(lengths), [False] * len(lengths), order[::-1]
    shortest = min(free, default=size)
    rows: list[list[int]] = []
    while upcoming:
        row: list[int] = []
        left = size
        while upcoming and left > size // 3 and (used[upcoming[-1]] or lengths[upcoming[-1]] <= left):
            if not used[piece := upcoming.pop()]:
                used[piece] = True
                free[lengths[piece]] -= 1
                row.append(piece)
                left -= lengths[piece]
        while wanted := fitting(free, left, shortest):
            for length in wanted:
                while used[piece := by_length[length].pop()]:
                    pass
                used[piece] = True
                free[length] -= 1
                row.append(piece)
                left -= length
        if row:
            rows.append(row)
    return rows


def fitting(free: Counter[int], left: int, shortest: int) -> tuple[int, ...]:
    """One length, or two, that fill what is left of a row exactly; else the longest that fits, if any."""
    if free[left]:
        return (left,)
    for one in range(shortest, left // 2 + 1):
        if free[one] and free[left - one] and (one < left - one or free[one] > 1):
            return one, left - one
    return next(((length,) for length in range(left, shortest - 1, -1) if free[length]), ())


def published_pairs(dialogue: Input, limit: int | None, seed: int, split: str = "train") -> pa.Table:
    """The pairs of a split of the published dataset, or `limit` of them by seed."""
    from datasets import load_dataset

    try:
        pairs = load_dataset(dialogue.repo, "pairs", split=split, revision=dialogue.revision)
    except ValueError as error:
        if "split" not in str(error):
            raise
        cure = "; or set sft.eval_strategy=no" if split == "validation" else ""
        raise UserError(f"{dialogue.repo} has no split {split}; make it again with training.prepare{cure}") from error
    if limit and limit < len(pairs):
        pairs = pairs.shuffle(seed=seed).select(range(limit))
    return pairs.select_columns(["prompt", "completion"]).with_format("arrow")[:]


def describe(encoded: Encoded, rows: int, max_length: int) -> dict[str, int | float]:
    """What encoding and packing came to, by name."""
    return {
        "pairs": len(encoded.table),
        "pairs over max_length, dropped": encoded.dropped,
        "reply tokens in them": encoded.dropped_reply_tokens,
        "pairs truncated": 0,
        "tokens": encoded.tokens,
        "reply tokens": encoded.reply_tokens,
        "packed rows": rows,
        "fill": round(encoded.tokens / (rows * max_length), 4),
    }


def report(recipe: Recipe, work: Path) -> str:
    """Prints what packing makes of a recipe's dataset; returns the dataset's sha."""
    from trl import SFTConfig

    from training.models import load_tokenizer

    arguments = SFTConfig(**recipe.sft.trl | {"bf16": False, "use_cpu": True})
    if not arguments.packing or arguments.max_length is None:
        raise UserError("this recipe does not pack; set sft.packing=true and a sft.max_length")
    dialogue, base = resolve(recipe.names.dialogue, "dataset"), base_input(recipe)
    tokenizer = load_tokenizer(base.repo, base.revision)
    pairs = published_pairs(dialogue, recipe.sft.pairs, arguments.seed)
    encoded = encode(tokenizer, pairs, arguments.max_length)
    for name, value in describe(encoded, len(examples(encoded, arguments)), arguments.max_length).items():
        say("packing", f"{name}: {value:,}")
    return dialogue.revision


if __name__ == "__main__":
    command(report, __doc__)
