"""Sequence packing: `python -m training.packing --recipe training/recipes/qwen2.5-3b.yaml` reports what it makes.

Whole pairs are laid end to end in rows of at most `max_length` tokens. With P for a prompt's and R for a reply's token,
three pairs of 4, 3 and 3 tokens in rows of 8:

    pairs         [P P R R]  [P P R]  [P R R]
    input_ids     [P P R R P P R]      [P R R]
    labels        [- - R R - - R]      [- R R]      - is IGNORED (-100): the loss is on replies alone
    seq_lengths   [4 3]                [3]
    position_ids  [0 1 2 3 0 1 2]      [0 1 2]      made by the collator: attention starts anew at each 0

Every distinct text is encoded once, and rows are gathered from the pieces by numpy. The tokens are those of
`chat.template`, which the chat uses. Rows are filled whole pair by whole pair, and SFTTrainer keeps the pairs of a row
apart by `seq_lengths`. The report needs the tokenizer and the published dataset alone: what it says is known before any
GPU time is spent.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from hub.errors import UserError
from hub.lineage import pin
from training.data.encode import Encoded, encode, published_pairs
from training.recipe import Recipe
from training.stage import base_input, command, log_progress

if TYPE_CHECKING:
    from datasets import Dataset
    from trl import SFTConfig


def examples(encoded: Encoded, arguments: SFTConfig) -> Dataset:
    """Training rows for SFTTrainer, in an order that the arguments' seed decides: pairs, packed where they say so.

    Returns:
        Columns `input_ids`, `labels` and, of packed rows, `seq_lengths`, the lengths of the pairs in the row.
    """
    from datasets import Dataset

    rng = np.random.default_rng(arguments.seed)
    if not arguments.packing:
        return Dataset(encoded.table.take(rng.permutation(len(encoded.table))))
    assert arguments.max_length is not None
    lengths = token_counts(encoded.table)
    rows = fill_rows(lengths.tolist(), arguments.max_length, rng.permutation(len(lengths)).tolist())
    rng.shuffle(rows)
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
    """Bin packing of pieces of these lengths, none over `size`, into rows of at most `size`; returns the pieces by row.

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


def report_packing(recipe: Recipe, work: Path) -> str:
    """Prints what packing makes of a recipe's dataset; returns the dataset's sha."""
    from trl import SFTConfig

    from chat.template import load_tokenizer

    arguments = SFTConfig(**recipe.sft.trl | {"bf16": False, "use_cpu": True})
    if not arguments.packing or arguments.max_length is None:
        raise UserError("this recipe does not pack; set sft.packing=true and a sft.max_length")
    dialogue, base = pin(recipe.names.dialogue, "dataset"), base_input(recipe)
    tokenizer = load_tokenizer(base.repo, base.revision)
    pairs = published_pairs(dialogue, recipe.sft.pairs, arguments.seed)
    encoded = encode(tokenizer, pairs, arguments.max_length)
    for name, value in describe(encoded, len(examples(encoded, arguments)), arguments.max_length).items():
        log_progress("packing", f"{name}: {value:,}")
    return dialogue.revision


if __name__ == "__main__":
    command(report_packing, __doc__)
