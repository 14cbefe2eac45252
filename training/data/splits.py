"""Train, validation and test splits by hash, and the rules that keep a pair out of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc

from training.data.corpus.assemble import Corpus, WeightedCorpus
from training.data.sorted_runs import VALUE, order_of
from training.data.windows import Windows, conversation_ids
from training.recipe_schema import Data

SPLIT_NAMES = ("train", "validation", "test")
TRAIN = SPLIT_NAMES.index("train")


KEPT, LONG_PROMPT, LONG_REPLY, DUPLICATE, WEIGHT, NEAR_DUPLICATE = range(6)


RULES = (
    "",
    "prompt too long",
    "reply too long",
    "same prompt and reply in another film",
    "left out by the weight of its source",
    "nearly the words of an earlier pair",
)
LEFT_OUT_ORDER = 4  # above every split's in the order of the copies of a pair


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


def split_codes(keys: Sequence[str], salt: str) -> np.ndarray:
    """Index into SPLIT_NAMES of each key, (keys,)."""
    return np.array([SPLIT_NAMES.index(split_of(key, salt)) for key in keys], dtype=np.int8)


def film_keys(corpus: Corpus) -> list[str]:
    """What a film goes by, of each of `Corpus.films`: its title if it has one, so that namesakes stay together."""
    return [str(film.id if film.title is None else film.title) for film in corpus.films]


def splits_of(corpus: Corpus, windows: Windows, data: Data) -> tuple[np.ndarray, np.ndarray]:
    """Index into SPLIT_NAMES of each conversation, (conversations,), and of each pair, (pairs,)."""
    if data.split_by == "film":
        talks = split_codes(film_keys(corpus), data.salt)[corpus.film_of]
        return talks, talks[windows.talk]
    talks = split_codes(conversation_ids(corpus, np.arange(len(corpus.film_of))).to_pylist(), data.salt)
    if data.split_by == "conversation":
        return talks, talks[windows.talk]
    ids = corpus.lines["line_id"].to_pylist()
    spans = zip(windows.first.tolist(), (windows.reply + 1).tolist(), strict=True)
    return talks, split_codes(["-".join(ids[first:end]) for first, end in spans], data.salt)


def own_rules(corpus: Corpus, windows: Windows, copies: np.ndarray, data: Data) -> np.ndarray:
    """Index into RULES of the one by which a pair is kept out for what it is itself, (pairs,); KEPT where none is."""
    lengths = pc.utf8_length(corpus.lines["text"]).to_numpy()
    before = np.concatenate([[0], np.cumsum(lengths)])
    rule = np.where(copies == 0, WEIGHT, KEPT)
    rule[lengths[windows.reply] > data.max_reply_characters] = LONG_REPLY
    rule[before[windows.reply] - before[windows.first] > data.max_prompt_characters] = LONG_PROMPT
    return rule.astype(np.int8)


def copy_order(split: np.ndarray, copies: np.ndarray) -> np.ndarray:
    """The order of the copies of a pair, (pairs,): the lowest stays, as `duplicates` says."""
    return 2 - split.astype(np.int64) + LEFT_OUT_ORDER * (copies == 0)


def duplicates(records: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Finds the pairs whose prompt and reply another film or split has as well, but for one film's.

    The copy that stays is a test film's before a validation film's before a train film's, and the first of those: what
    is evaluated keeps its natural mix, and nothing of it is trained on. One that is left out anyhow is not that copy.

    Args:
        records: of `sorted_runs`, a pair each: its key is its texts, its order `copy_order`, its value its film.
        first: place of the first record of the same key.
    """
    split = order_of(records) % LEFT_OUT_ORDER
    return (records[VALUE] != records[VALUE, first]) | (split != split[first])


def cross_split_overlap(records: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Finds conversations with two neighbouring lines that a stricter split has as well.

    Test is stricter than validation, and validation than train: nothing that is evaluated is trained on.

    Args:
        records: of `sorted_runs`, two neighbouring lines each: the key is their texts, the order `copy_order` of the
            conversation's split.
        first: place of the first record of the same key.
    """
    order = order_of(records)
    return order > order[first]


def weights(named: WeightedCorpus, windows: Windows, split: np.ndarray, salt: str) -> np.ndarray:
    """How often each pair is taken, (pairs,): once, but in the train split as its source is weighted.

    A weight of 2.5 takes every conversation twice and half of them, decided by hash, a third time.
    """
    if named.weight == 1:
        return np.ones(len(split), dtype=np.int64)
    ids = conversation_ids(named.corpus, np.arange(len(named.corpus.film_of))).to_pylist()
    fractions = np.array([hash_fraction(id, f"weight:{salt}") for id in ids])
    copies = int(named.weight) + (fractions < named.weight % 1)
    return np.where(split == TRAIN, copies[windows.talk], 1)
