"""Train, validation and test splits by hash, and the rules that keep a pair out of them."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chat.template import SYSTEM_PROMPT
from training.data.arrow_lists import message_texts
from training.data.corpus.assemble import WeightedCorpus
from training.recipe_schema import Data

SPLIT_NAMES = ("train", "validation", "test")


KEPT, LONG_PROMPT, LONG_REPLY, DUPLICATE, WEIGHT = range(5)


RULES = (
    "",
    "prompt too long",
    "reply too long",
    "same prompt and reply in another film",
    "left out by the weight of its source",
)


def hash_fraction(key: str, salt: str) -> float:
    """A number from 0 to below 1 that depends on the key, folded to its words in lower case, and the salt alone."""
    folded = re.sub(r"\W+", " ", key).strip().casefold()
    return int.from_bytes(hashlib.sha256(f"{salt}:{folded}".encode()).digest()[:8], "big") / 2**64


def split_of(key: str, salt: str) -> str:
    """Puts a film (or any other key) into `test` (20%), `validation` (20% of the rest) or `train`, by hash.

    The place depends on the key and the salt alone, so adding a film moves no other film.
    """
    share = hash_fraction(key, salt)
    return "test" if share < 0.20 else "validation" if share < 0.36 else "train"


def split_codes(table: pa.Table, data: Data) -> np.ndarray:
    """Index into SPLIT_NAMES of each row, (rows,). A film goes by its title if it has one: namesakes stay together."""
    if data.split_by == "film":
        keys = pc.coalesce(table["movie_title"], table["movie_id"])
    elif data.split_by == "conversation" or "messages" in table.column_names:
        keys = table["conversation_id"]
    else:
        keys = pc.binary_join(table["line_ids"], "-")
    encoded = keys.combine_chunks().dictionary_encode()
    code_of = [SPLIT_NAMES.index(split_of(key, data.salt)) for key in encoded.dictionary.to_pylist()]
    return np.array(code_of)[encoded.indices.to_numpy()]


def rules(pairs: pa.Table, split: np.ndarray, copies: np.ndarray, data: Data) -> np.ndarray:
    """Index into RULES of the one that keeps each pair out, (pairs,); 0 where none does."""
    rule = np.zeros(len(pairs), dtype=np.int64)
    if data.drop_duplicates:
        rule[duplicates(pairs, split, copies == 0)] = DUPLICATE
    rule[copies == 0] = WEIGHT
    rule[characters(pairs["completion"]) > data.max_reply_characters] = LONG_REPLY
    rule[characters(pairs["prompt"]) - len(SYSTEM_PROMPT) > data.max_prompt_characters] = LONG_PROMPT
    return rule


def characters(messages: pa.ChunkedArray) -> np.ndarray:
    """Characters of all messages of each row, (rows,)."""
    texts = message_texts(messages)
    lengths = pc.utf8_length(texts.values).to_numpy()
    return np.add.reduceat(lengths, texts.offsets.to_numpy()[:-1])


def duplicates(pairs: pa.Table, split: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """Finds the pairs whose prompt and reply another film or split has as well, (pairs,) of bool, but for one film's.

    The copy that stays is a test film's before a validation film's before a train film's, and the first of those: what
    is evaluated keeps its natural mix, and nothing of it is trained on. One that is left out anyhow is not that copy.
    """
    prompt, reply = message_texts(pairs["prompt"]), message_texts(pairs["completion"])
    texts = pa.concat_arrays([prompt.values, reply.values]).dictionary_encode().indices.to_numpy()
    text_ids, ends = texts[: len(prompt.values)], prompt.offsets.to_numpy()
    key = texts[len(prompt.values) :].astype(np.int64)
    for back in range(1, int(np.diff(ends).max(initial=0)) + 1):  # one line of the prompts at a time, from the last
        line = np.where(ends[1:] - back >= ends[:-1], text_ids[np.maximum(ends[1:] - back, 0)] + 1, 0)
        key = np.unique(key * (len(texts) + 1) + line, return_inverse=True)[1]
    titles = pc.coalesce(pairs["movie_title"], pairs["movie_id"]).combine_chunks()
    film = titles.dictionary_encode().indices.to_numpy()
    order = np.lexsort((np.arange(len(key)), -split, left_out, key))
    first = order[np.unique(key[order], return_index=True)[1]]  # of each key, which are 0, 1, 2, ...
    return (film != film[first][key]) | (split != split[first][key])


def cross_split_overlap(talks: pa.Table, split: np.ndarray) -> np.ndarray:
    """Finds conversations with two neighbouring lines that a stricter split has as well, (conversations,) of bool.

    Test is stricter than validation, and validation than train: nothing that is evaluated is trained on.
    """
    texts = message_texts(talks["messages"])
    starts = texts.offsets.to_numpy()
    text_ids = texts.values.dictionary_encode().indices.to_numpy().astype(np.int64)
    talk = np.repeat(np.arange(len(talks)), np.diff(starts))
    inside = talk[:-1] == talk[1:]
    talk = talk[:-1][inside]
    neighbours = np.unique((text_ids[:-1] * len(text_ids) + text_ids[1:])[inside], return_inverse=True)[1]
    strictest = np.zeros(len(text_ids), dtype=split.dtype)
    np.maximum.at(strictest, neighbours, split[talk])
    found = np.zeros(len(talks), dtype=bool)
    found[talk[strictest[neighbours] > split[talk]]] = True
    return found


def weights(pairs: pa.Table, split: np.ndarray, corpora: list[WeightedCorpus], salt: str) -> np.ndarray:
    """How often each pair is taken, (pairs,): once, but in the train split as its source is weighted.

    A weight of 2.5 takes every conversation twice and half of them, decided by hash, a third time.
    """
    copies = np.ones(len(pairs), dtype=np.int64)
    for named in corpora:
        if named.weight != 1:
            own = (split == SPLIT_NAMES.index("train")) & pc.equal(pairs["source"], named.name).to_numpy()
            ids = pairs["conversation_id"].filter(own).to_pylist()
            fractions = np.array([hash_fraction(id, f"weight:{salt}") for id in ids])
            copies[own] = int(named.weight) + (fractions < named.weight % 1)
    return copies
