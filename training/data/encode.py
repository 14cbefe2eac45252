"""Tokenization: published pairs as token ids, with a loss mask on the prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from chat.chat_format import PairTexts
from chat.template import encode_pairs
from hub.errors import UserError
from hub.lineage import Input

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


IGNORED = -100  # the label of a token that is not trained


@dataclass(frozen=True)
class Encoded:
    """Pairs as a trainer takes them."""

    table: pa.Table  # input_ids, and labels: the same on the reply and its end, IGNORED on the prompt
    dropped: int  # pairs of more than `max_length` tokens: left out, not cut
    dropped_reply_tokens: int

    @property
    def tokens(self) -> int:
        """Tokens of all pairs, prompts included."""
        return len(self.table["labels"].combine_chunks().values)

    @property
    def reply_tokens(self) -> int:
        """Tokens with a label: those that the loss is on."""
        return int((self.table["labels"].combine_chunks().values.to_numpy() != IGNORED).sum())


def encode(tokenizer: PreTrainedTokenizerBase, pairs: pa.Table, max_length: int, replies_only: bool = True) -> Encoded:
    """Encodes the columns `prompt` and `completion` as `chat.template` does; pairs over `max_length` are left out.

    Args:
        tokenizer: as `configure_tokenizer` leaves it.
        pairs: rows of the published dataset.
        max_length: in tokens, prompt and reply together.
        replies_only: the loss is on replies and their ends alone; else on prompts too.
    """
    prompts, replies = (pairs[name].combine_chunks() for name in ("prompt", "completion"))
    roles = prompts.values.field("role").dictionary_encode()
    texts = pa.concat_arrays([prompts.values.field("content"), replies.values.field("content")]).dictionary_encode()
    messages = len(roles)
    distinct = PairTexts(
        roles.dictionary.to_pylist(),
        texts.dictionary.to_pylist(),
        roles.indices.to_numpy(),
        texts.indices.to_numpy()[:messages],
        prompts.offsets.to_numpy().astype(np.int64),
        texts.indices.to_numpy()[messages:],
    )
    tokens, of_reply, length, reply_length = encode_pairs(tokenizer, distinct)
    labels = np.where(of_reply, tokens, IGNORED) if replies_only else tokens
    row_offsets = pa.array(np.concatenate([[0], np.cumsum(length)]).astype(np.int32))
    table = pa.table(
        {
            "input_ids": pa.ListArray.from_arrays(row_offsets, pa.array(tokens)),
            "labels": pa.ListArray.from_arrays(row_offsets, pa.array(labels)),
        }
    )
    fits = length <= max_length
    if not fits.any():
        raise UserError(f"every pair is longer than max_length={max_length} tokens; raise sft.max_length")
    return Encoded(table.filter(fits), int((~fits).sum()), int(reply_length[~fits].sum()))


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
