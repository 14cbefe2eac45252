"""Corpora to tables: a window slides over every conversation, splits are decided by hash, rules drop pairs openly.

Nothing here loops over lines: a window is a first and a last place in the columns of a corpus, and Arrow gathers what
stands between. That is what makes the whole corpus a matter of seconds.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa

from chat.template import SYSTEM_PROMPT
from training.data.arrow_lists import ragged_ranges
from training.data.corpus.assemble import Corpus, WeightedCorpus
from training.data.splits import KEPT, RULES, SPLIT_NAMES, cross_split_overlap, rules, split_codes, weights
from training.recipe_schema import Data

Tables = dict[str, dict[str, pa.Table]]  # by config and split


def build_tables(corpora: list[WeightedCorpus], data: Data) -> tuple[Tables, Counter[str]]:
    """Makes every table of the dataset.

    Returns:
        The configs `pairs`, `conversations` and, where there are any, `dropped` (the pairs that a rule kept out: the
        rule's name in `rule`, their split in `split`) and `dropped_conversations` (see `cross_split_overlap`), and how
        many rows each rule dropped.
    """
    pairs = pa.concat_tables([pair_table(named, data.context_turns) for named in corpora]).combine_chunks()
    talks = pa.concat_tables([conversation_table(named) for named in corpora]).combine_chunks()
    pair_split, talk_split = split_codes(pairs, data), split_codes(talks, data)
    copies = weights(pairs, pair_split, corpora, data.salt)
    rule = rules(pairs, pair_split, copies, data)
    copies[rule != KEPT] = 0
    shared = cross_split_overlap(talks, talk_split) if data.drop_duplicates else np.zeros(len(talks), dtype=bool)
    every = np.arange(len(pairs))
    tables: Tables = {"pairs": {}, "conversations": {}}
    for code, split in enumerate(SPLIT_NAMES):
        tables["pairs"][split] = pairs.take(np.repeat(every, np.where(pair_split == code, copies, 0)))
        tables["conversations"][split] = talks.filter((talk_split == code) & ~shared)
    if (rule != KEPT).any():
        dropped = pairs.append_column("split", pa.array(SPLIT_NAMES).take(pa.array(pair_split)))
        dropped = dropped.append_column("rule", pa.array(RULES).take(pa.array(rule)))
        tables["dropped"] = {"train": dropped.filter(rule != KEPT)}
    if shared.any():
        dropped = talks.append_column("split", pa.array(SPLIT_NAMES).take(pa.array(talk_split)))
        tables["dropped_conversations"] = {"train": dropped.filter(shared)}
    counts = Counter({f"pairs dropped: {RULES[code]}": int((rule == code).sum()) for code in range(1, len(RULES))})
    counts["conversations dropped: neighbouring lines that a stricter split has"] = int(shared.sum())
    return tables, counts


def pair_table(named: WeightedCorpus, context_turns: int) -> pa.Table:
    """Slides the window: every line but a first one is a reply to the one to `context_turns` lines before it."""
    starts = named.corpus.starts
    opening = np.repeat(starts[:-1], np.diff(starts))
    indices = np.arange(starts[-1])
    reply = indices[indices > opening]
    first = np.maximum(opening[reply], reply - context_turns)
    conversation = np.repeat(np.arange(len(starts) - 1), np.diff(starts) - 1)
    return pa.table(
        {
            "prompt": chat(named.corpus, first, reply - 1, reply, system=True),
            "completion": chat(named.corpus, reply, reply, reply),
            **provenance(named, conversation, first, reply),
        }
    )


def conversation_table(named: WeightedCorpus) -> pa.Table:
    """Every conversation whole."""
    first, last = named.corpus.starts[:-1], named.corpus.starts[1:] - 1
    return pa.table(
        {
            "messages": chat(named.corpus, first, last, last),
            **provenance(named, np.arange(len(first)), first, last),
        }
    )


def chat(corpus: Corpus, first: np.ndarray, last: np.ndarray, reply: np.ndarray, system: bool = False) -> pa.ListArray:
    """The lines of each window as messages: the reply is the assistant's, and the roles alternate backwards from it."""
    offsets, indices = ragged_ranges(first - system, last)
    speaker = (np.repeat(reply, np.diff(offsets)) - indices) % 2
    texts = corpus.lines["text"].combine_chunks()
    if system:
        speaker[offsets[:-1]], indices[offsets[:-1]] = 2, len(texts)
        texts = pa.concat_arrays([texts, pa.array([SYSTEM_PROMPT])])
    roles = pa.array(["assistant", "user", "system"]).take(pa.array(speaker))
    return pa.ListArray.from_arrays(
        pa.array(offsets), pa.StructArray.from_arrays([roles, texts.take(pa.array(indices))], ["role", "content"])
    )


def provenance(
    named: WeightedCorpus, conversation: np.ndarray, first: np.ndarray, last: np.ndarray
) -> dict[str, pa.Array]:
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
    offsets, indices = ragged_ranges(first, last)
    lines = corpus.lines.take(pa.array(indices)).combine_chunks()
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
