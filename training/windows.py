"""Corpora to tables: a window slides over every conversation, splits are decided by hash, rules drop pairs openly.

Nothing here loops over lines: a window is a first and a last place in the columns of a corpus, and Arrow gathers what
stands between. That is what makes the whole corpus a matter of seconds.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chat.template import SYSTEM_PROMPT
from training.corpus import Corpus
from training.sections import Data

SPLITS = ("train", "validation", "test")
KEPT, LONG_PROMPT, LONG_REPLY, DUPLICATE, WEIGHT = range(5)
RULES = (
    "",
    "prompt too long",
    "reply too long",
    "same prompt and reply in another film",
    "left out by the weight of its source",
)
Tables = dict[str, dict[str, pa.Table]]  # by config and split


@dataclass(frozen=True)
class Named:
    """A corpus, what its rows say in `source`, and how often its train pairs are taken."""

    name: str
    weight: float
    corpus: Corpus


def build(corpora: list[Named], data: Data) -> tuple[Tables, Counter[str]]:
    """Makes every table of the dataset.

    Returns:
        The configs `pairs`, `conversations` and, where there are any, `dropped` (the pairs that a rule kept out: the
        rule's name in `rule`, their split in `split`) and `dropped_conversations` (see `leaks`), and how many rows each
        rule dropped.
    """
    pairs = pa.concat_tables([pair_table(named, data.context_turns) for named in corpora]).combine_chunks()
    talks = pa.concat_tables([conversation_table(named) for named in corpora]).combine_chunks()
    pair_split, talk_split = split_codes(pairs, data), split_codes(talks, data)
    copies = weights(pairs, pair_split, corpora, data.salt)
    rule = rules(pairs, pair_split, copies, data)
    copies[rule != KEPT] = 0
    shared = leaks(talks, talk_split) if data.drop_duplicates else np.zeros(len(talks), dtype=bool)
    every = np.arange(len(pairs))
    tables: Tables = {"pairs": {}, "conversations": {}}
    for code, split in enumerate(SPLITS):
        tables["pairs"][split] = pairs.take(np.repeat(every, np.where(pair_split == code, copies, 0)))
        tables["conversations"][split] = talks.filter((talk_split == code) & ~shared)
    if (rule != KEPT).any():
        dropped = pairs.append_column("split", pa.array(SPLITS).take(pa.array(pair_split)))
        dropped = dropped.append_column("rule", pa.array(RULES).take(pa.array(rule)))
        tables["dropped"] = {"train": dropped.filter(rule != KEPT)}
    if shared.any():
        dropped = talks.append_column("split", pa.array(SPLITS).take(pa.array(talk_split)))
        tables["dropped_conversations"] = {"train": dropped.filter(shared)}
    counts = Counter({f"pairs dropped: {RULES[code]}": int((rule == code).sum()) for code in range(1, len(RULES))})
    counts["conversations dropped: neighbouring lines that a stricter split has"] = int(shared.sum())
    return tables, counts


def pair_table(named: Named, context_turns: int) -> pa.Table:
    """Slides the window: every line but a first one is a reply to the one to `context_turns` lines before it."""
    starts = named.corpus.starts
    opening = np.repeat(starts[:-1], np.diff(starts))
    places = np.arange(starts[-1])
    reply = places[places > opening]
    first = np.maximum(opening[reply], reply - context_turns)
    conversation = np.repeat(np.arange(len(starts) - 1), np.diff(starts) - 1)
    return pa.table(
        {
            "prompt": chat(named.corpus, first, reply - 1, reply, system=True),
            "completion": chat(named.corpus, reply, reply, reply),
            **provenance(named, conversation, first, reply),
        }
    )


def conversation_table(named: Named) -> pa.Table:
    """Every conversation whole."""
    first, last = named.corpus.starts[:-1], named.corpus.starts[1:] - 1
    return pa.table(
        {
            "messages": chat(named.corpus, first, last, last),
            **provenance(named, np.arange(len(first)), first, last),
        }
    )


def between(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets of the windows, (windows + 1,), and the places in all of them, one after the other."""
    lengths = last - first + 1
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return offsets.astype(np.int32), np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], lengths)


def chat(corpus: Corpus, first: np.ndarray, last: np.ndarray, reply: np.ndarray, system: bool = False) -> pa.ListArray:
    """The lines of each window as messages: the reply is the assistant's, and the roles alternate backwards from it."""
    offsets, places = between(first - system, last)
    speaker = (np.repeat(reply, np.diff(offsets)) - places) % 2
    texts = corpus.lines["text"].combine_chunks()
    if system:
        speaker[offsets[:-1]], places[offsets[:-1]] = 2, len(texts)
        texts = pa.concat_arrays([texts, pa.array([SYSTEM_PROMPT])])
    roles = pa.array(["assistant", "user", "system"]).take(pa.array(speaker))
    return pa.ListArray.from_arrays(
        pa.array(offsets), pa.StructArray.from_arrays([roles, texts.take(pa.array(places))], ["role", "content"])
    )


def provenance(named: Named, conversation: np.ndarray, first: np.ndarray, last: np.ndarray) -> dict[str, pa.Array]:
    """Where each row comes from, down to the lines of its window."""
    corpus = named.corpus
    films = {
        "movie_id": pa.array([film.id for film in corpus.films], pa.string()),
        "movie_title": pa.array([film.title for film in corpus.films], pa.string()),
        "year": pa.array([film.year for film in corpus.films], pa.int32()),
        "rating": pa.array([film.rating for film in corpus.films], pa.float64()),
        "votes": pa.array([film.votes for film in corpus.films], pa.int32()),
        "genres": pa.array([film.genres for film in corpus.films], pa.list_(pa.string())),
        "script_url": pa.array([film.script_url for film in corpus.films], pa.string()),
    }
    film = pa.array(corpus.film_of[conversation])
    offsets, places = between(first, last)
    lines = corpus.lines.take(pa.array(places)).combine_chunks()
    of_window = {
        name: pa.ListArray.from_arrays(pa.array(offsets), lines[column].combine_chunks())
        for name, column in (("line_ids", "line_id"), ("speakers", "speaker"), ("raw_text", "raw_text"))
    }
    ids = pa.array(conversation_ids(corpus)).take(pa.array(conversation))
    source = pa.repeat(pa.scalar(named.name, pa.string()), len(conversation))
    return {
        "source": source,
        **{name: column.take(film) for name, column in films.items()},
        "conversation_id": ids,
        **of_window,
    }


def conversation_ids(corpus: Corpus) -> list[str]:
    """A conversation is named by its film and its first line."""
    films = [film.id or film.title for film in corpus.films]
    opening = corpus.lines["line_id"].take(pa.array(corpus.starts[:-1])).to_pylist()
    return [f"{films[film]}:{line}" for film, line in zip(corpus.film_of.tolist(), opening, strict=True)]


def place(key: str, salt: str) -> float:
    """A number from 0 to below 1 that depends on the key, folded to its words in lower case, and the salt alone."""
    folded = re.sub(r"\W+", " ", key).strip().casefold()
    return int.from_bytes(hashlib.sha256(f"{salt}:{folded}".encode()).digest()[:8], "big") / 2**64


def split_of(key: str, salt: str) -> str:
    """Puts a film (or any other key) into `test` (20%), `validation` (20% of the rest) or `train`, by hash.

    The place depends on the key and the salt alone, so adding a film moves no other film.
    """
    share = place(key, salt)
    return "test" if share < 0.20 else "validation" if share < 0.36 else "train"


def split_codes(table: pa.Table, data: Data) -> np.ndarray:
    """The place in SPLITS of each row, (rows,). A film goes by its title if it has one: namesakes stay together."""
    if data.split_by == "film":
        keys = pc.coalesce(table["movie_title"], table["movie_id"])
    elif data.split_by == "conversation" or "messages" in table.column_names:
        keys = table["conversation_id"]
    else:
        keys = pc.binary_join(table["line_ids"], "-")
    encoded = keys.combine_chunks().dictionary_encode()
    code_of = [SPLITS.index(split_of(key, data.salt)) for key in encoded.dictionary.to_pylist()]
    return np.array(code_of)[encoded.indices.to_numpy()]


def rules(pairs: pa.Table, split: np.ndarray, copies: np.ndarray, data: Data) -> np.ndarray:
    """The place in RULES of the one that keeps each pair out, (pairs,); 0 where none does."""
    rule = np.zeros(len(pairs), dtype=np.int64)
    if data.drop_duplicates:
        rule[duplicates(pairs, split, copies == 0)] = DUPLICATE
    rule[copies == 0] = WEIGHT
    rule[characters(pairs["completion"]) > data.max_reply_characters] = LONG_REPLY
    rule[characters(pairs["prompt"]) - len(SYSTEM_PROMPT) > data.max_prompt_characters] = LONG_PROMPT
    return rule


def contents(messages: pa.ChunkedArray) -> pa.ListArray:
    """The texts alone of a column of messages."""
    whole = messages.combine_chunks()
    return pa.ListArray.from_arrays(whole.offsets, whole.values.field("content"))


def characters(messages: pa.ChunkedArray) -> np.ndarray:
    texts = contents(messages)
    lengths = pc.utf8_length(texts.values).to_numpy()
    return np.add.reduceat(lengths, texts.offsets.to_numpy()[:-1])


def duplicates(pairs: pa.Table, split: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """Finds the pairs whose prompt and reply another film or split has as well, (pairs,) of bool, but for one film's.

    The copy that stays is a test film's before a validation film's before a train film's, and the first of those: what
    is evaluated keeps its natural mix, and nothing of it is trained on. One that is left out anyhow is not that copy.
    """
    prompt, reply = contents(pairs["prompt"]), contents(pairs["completion"])
    texts = pa.concat_arrays([prompt.values, reply.values]).dictionary_encode().indices.to_numpy()
    said, ends = texts[: len(prompt.values)], prompt.offsets.to_numpy()
    key = texts[len(prompt.values) :].astype(np.int64)
    for back in range(1, int(np.diff(ends).max(initial=0)) + 1):  # one line of the prompts at a time, from the last
        line = np.where(ends[1:] - back >= ends[:-1], said[np.maximum(ends[1:] - back, 0)] + 1, 0)
        key = np.unique(key * (len(texts) + 1) + line, return_inverse=True)[1]
    titles = pc.coalesce(pairs["movie_title"], pairs["movie_id"]).combine_chunks()
    film = titles.dictionary_encode().indices.to_numpy()
    order = np.lexsort((np.arange(len(key)), -split, left_out, key))
    first = order[np.unique(key[order], return_index=True)[1]]  # of each key, which are 0, 1, 2, ...
    return (film != film[first][key]) | (split != split[first][key])


def leaks(talks: pa.Table, split: np.ndarray) -> np.ndarray:
    """Finds conversations with two neighbouring lines that a stricter split has as well, (conversations,) of bool.

    Test is stricter than validation, and validation than train: nothing that is evaluated is trained on.
    """
    texts = contents(talks["messages"])
    starts = texts.offsets.to_numpy()
    said = texts.values.dictionary_encode().indices.to_numpy().astype(np.int64)
    talk = np.repeat(np.arange(len(talks)), np.diff(starts))
    inside = talk[:-1] == talk[1:]
    talk = talk[:-1][inside]
    neighbours = np.unique((said[:-1] * len(said) + said[1:])[inside], return_inverse=True)[1]
    strictest = np.zeros(len(said), dtype=split.dtype)
    np.maximum.at(strictest, neighbours, split[talk])
    found = np.zeros(len(talks), dtype=bool)
    found[talk[strictest[neighbours] > split[talk]]] = True
    return found


def weights(pairs: pa.Table, split: np.ndarray, corpora: list[Named], salt: str) -> np.ndarray:
    """How often each pair is taken, (pairs,): once, but in the train split as its source is weighted.

    A weight of 2.5 takes every conversation twice and half of them, decided by hash, a third time.
    """
    copies = np.ones(len(pairs), dtype=np.int64)
    for named in corpora:
        if named.weight != 1:
            own = (split == SPLITS.index("train")) & pc.equal(pairs["source"], named.name).to_numpy()
            ids = pairs["conversation_id"].filter(own).to_pylist()
            chance = np.array([place(id, f"weight:{salt}") for id in ids])
            copies[own] = int(named.weight) + (chance < named.weight % 1)
    return copies
