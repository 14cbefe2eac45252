"""Tokenization: published pairs as token ids, with a loss mask on the prompt."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from chat.template import STOP
from hub.errors import UserError
from hub.lineage import Input
from training.data.arrow_lists import ragged_ranges

if TYPE_CHECKING:
    from tokenizers import Tokenizer
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
    _, places = ragged_ranges(starts[order], starts[order] + lengths[order] - 1)
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
    """Token ids of each text, no special token added."""
    return [encoding.ids for encoding in plain.encode_batch_fast(texts, add_special_tokens=False)]


def without_added_tokens(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """The tokenizer in which every text is plain: `<tool_call>` and `<|im_end|>` are characters like others."""
    from tokenizers import Tokenizer

    content = json.loads(tokenizer.backend_tokenizer.to_str())
    return Tokenizer.from_str(json.dumps({**content, "added_tokens": [], "post_processor": None}))


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
