"""Batches after they were compared with all others: which rows each has in every table of the dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from training.data.batches import (
    NEAR_RUN,
    NEIGHBOUR_RUN,
    PAIR_RUN,
    StoredBatch,
    WeightedSource,
    open_batch,
)
from training.data.corpus.assemble import WeightedCorpus
from training.data.near_duplicate_pairs import find_candidates, verify_candidates
from training.data.sorted_runs import EVERY, find_rows, found_rows
from training.data.splits import DUPLICATE, KEPT, NEAR_DUPLICATE, RULES, SPLIT_NAMES, cross_split_overlap, duplicates
from training.data.windows import Windows, conversation_table, pair_table
from training.recipe_schema import Data

TABLES = (
    *(("pairs", split) for split in SPLIT_NAMES),
    *(("conversations", split) for split in SPLIT_NAMES),
    ("dropped", "train"),
    ("dropped_conversations", "train"),
)
"""Config and split of every table. Those of `dropped` have the split of their rows in a column."""
KEPT_BATCHES = 4


@dataclass(frozen=True)
class Judged:
    """One batch, and what became of its pairs and conversations."""

    batch: StoredBatch
    source: WeightedSource
    windows: Windows
    rule: np.ndarray  # (pairs,), index into RULES
    copies: np.ndarray  # (pairs,), how often each is in the dataset; 0 where a rule keeps it out
    shared: np.ndarray  # (conversations,) of bool: found by `cross_split_overlap`

    def rows(self, config: str, split: str) -> np.ndarray:
        """The places of the pairs or conversations that are the rows of a table, as often as they are in it."""
        code = SPLIT_NAMES.index(split)
        if config == "pairs":
            copies = np.where(self.batch.arrays["pair_split"] == code, self.copies, 0)
            return np.repeat(np.arange(len(copies)), copies)
        if config == "conversations":
            return np.flatnonzero((self.batch.arrays["talk_split"] == code) & ~self.shared)
        return np.flatnonzero(self.shared if config == "dropped_conversations" else self.rule != KEPT)

    def table(self, config: str, rows: np.ndarray) -> pa.Table:
        """The table's rows for these places."""
        named = WeightedCorpus(self.source.name, self.source.weight, self.batch.corpus)
        if config.endswith("conversations"):
            table, split = conversation_table(named, rows), self.batch.arrays["talk_split"]
        else:
            table, split = pair_table(named, self.windows.take(rows)), self.batch.arrays["pair_split"]
        if config.startswith("dropped"):
            table = table.append_column("split", pa.array(SPLIT_NAMES).take(pa.array(split[rows])))
        if config == "dropped":
            table = table.append_column("rule", pa.array(RULES).take(pa.array(self.rule[rows])))
        return table


@dataclass(frozen=True)
class ComparedBatches:
    """All batches, compared: `judged(place)` is one of them.

    The last few that were asked for stay in memory: a small dataset is read once for all of its tables.
    """

    sources: Sequence[WeightedSource]
    data: Data
    folder: Path
    """Where `compare` left what it found."""
    batches: list[Path]

    @cached_property
    def judged(self) -> Callable[[int], Judged]:
        """The batch at a place."""
        return lru_cache(maxsize=KEPT_BATCHES)(self.judge)

    def judge(self, place: int) -> Judged:
        """The batch at a place, read anew."""
        batch = open_batch(self.batches[place])
        rule = batch.arrays["rule"].copy()
        first, talk = batch.about["first_pair"], batch.about["first_talk"]
        shared = np.zeros(batch.about["talks"], dtype=bool)
        if self.data.drop_duplicates:
            again = found_rows(self.folder / PAIR_RUN, first, first + len(rule)) - first
            rule[again[rule[again] == KEPT]] = DUPLICATE
            shared[found_rows(self.folder / NEIGHBOUR_RUN, talk, talk + len(shared)) - talk] = True
        if self.data.near_duplicates:
            near = found_rows(self.folder / NEAR_RUN, first, first + len(rule)) - first
            rule[near[rule[near] == KEPT]] = NEAR_DUPLICATE
        copies = np.where(rule == KEPT, batch.arrays["copies"], 0)
        source = self.sources[batch.about["source"]]
        return Judged(batch, source, batch.windows(self.data), rule, copies, shared)


def compare(batches: list[Path], data: Data, folder: Path, range_records: int, share: slice = EVERY) -> None:
    """Compares batches: duplicates of pairs, conversations that overlap, and candidates of near-duplicates.

    What is found lies in a folder, as `sorted_runs.find_rows` leaves it; a share is of the ranges of keys.
    """
    if data.drop_duplicates:
        for name, finder in ((PAIR_RUN, duplicates), (NEIGHBOUR_RUN, cross_split_overlap)):
            find_rows([batch / name for batch in batches], finder, folder / name, range_records, share)
    if data.near_duplicates:
        find_candidates(batches, folder / NEAR_RUN, range_records, share)


def verify_all(batches: list[Path], data: Data, folder: Path, share: slice = EVERY) -> None:
    """Finds the near-duplicates among all candidates, where a recipe asks for them; a share is of the batches."""
    if data.near_duplicates:
        verify_candidates(batches, data, folder / NEAR_RUN, share)
