"""Pretraining data: splits as plain text, the byte-level BPE tokenizer, token rows and batches."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from training.data.corpus.assemble import Corpus
from training.data.splits import split_of
from training.recipe_schema import Data

BOUNDARY, SPECIAL_TOKENS = "<|endoftext|>", ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


CONTEXT = 512  # tokens of one training row; longer conversations are cut into rows


# Qwen2's way of cutting text before BPE, so that the starter's tokenizer behaves like the real one.
QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def conversations_by_split(corpus: Corpus) -> dict[str, list[str]]:
    """Returns the plain text of every conversation, by split: lines joined by newlines."""
    texts: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for film, lines in corpus.talks():
        texts[split_of(film.key or "", Data().salt)].append("\n".join(lines))
    return texts


def train_tokenizer(texts: list[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Trains a byte-level BPE of `vocabulary` tokens, the three special ones (ids 0, 1, 2) included."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=BOUNDARY, pad_token=BOUNDARY, clean_up_tokenization_spaces=False
    )


def token_rows(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> list[list[int]]:
    """Encodes each conversation between two `<|endoftext|>`; rows over CONTEXT + 1 tokens continue in the next row."""
    boundary = tokenizer.get_vocab()[BOUNDARY]
    rows = []
    for ids in tokenizer(texts)["input_ids"]:
        ids = [boundary, *ids, boundary]
        rows += [ids[start : start + CONTEXT + 1] for start in range(0, len(ids) - 1, CONTEXT)]
    return rows


def batches(rows: list[list[int]], tokens: int, seed: int) -> list[list[list[int]]]:
    """Groups rows of like length, at most `tokens` padded tokens a batch, in an order that the seed decides."""
    rng = random.Random(seed)
    order = sorted(rows, key=lambda row: len(row) + rng.random() * 8)
    grouped: list[list[list[int]]] = [[]]
    for row in order:
        if grouped[-1] and (len(grouped[-1]) + 1) * len(row) > tokens:
            grouped.append([])
        grouped[-1].append(row)
    rng.shuffle(grouped)
    return grouped


def endless(rows: list[list[int]], tokens: int) -> Iterator[list[list[int]]]:
    """Yields the batches of one epoch after another; the number of batches differs a little between epochs."""
    for epoch in itertools.count():
        yield from batches(rows, tokens, seed=epoch)
