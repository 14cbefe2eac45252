"""Corpora to tables, at any size: batches of conversations on disk, one of them in memory at a time.

    read      sources -> batches: lines, windows, splits, each pair's own rules; sorted runs of what is compared
    compare   runs -> pairs that another film has, conversations that a stricter split overlaps
    verify    candidates -> near-duplicates, where a recipe asks for them
    tally     rows of every table, counts and statistics
    write     batches -> shards of parquet

Each step leaves whole files: killed at any moment, the next start carries on, and the bytes are the same.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from hub.parquet import Shard
from training.data.batches import WeightedSource, stored_batches, write_batches
from training.data.corpus.assemble import Corpus, WeightedCorpus
from training.data.judged import TABLES, ComparedBatches, compare, verify_all
from training.data.shards import plan, write_shards
from training.data.sorted_runs import EVERY
from training.data.tally import card_facts, tally
from training.recipe_schema import Data

Tables = dict[str, dict[str, pa.Table]]  # by config and split
FORM = 3  # of what lies in a folder of batches; another form begins anew


@dataclass(frozen=True)
class Sizes:
    """What is held in memory, and in a file, at most."""

    batch_lines: int = 100_000
    shard_rows: int = 1_000_000  # about 100 MB of pairs
    range_records: int = 1_000_000  # of 32 bytes, sorted at once


SIZES = Sizes()


@dataclass(frozen=True)
class Build:
    """Every table of the dataset as parquet under a folder, step by step.

    Its batches lie in `batches` inside the folder, which may be deleted when it is done. A step needs the ones before
    it whole. Several processes may take a step at once, each a share of it: of the sources (`read`), the ranges of keys
    (`compare`), the batches (`verify`) or the shards (`write`).
    """

    sources: list[WeightedSource]
    data: Data
    folder: Path
    sizes: Sizes = SIZES

    @property
    def scratch(self) -> Path:
        """The folder of the batches."""
        return self.folder / "batches"

    @property
    def found(self) -> Path:
        """The folder of what is found among the batches."""
        return self.scratch / "found"

    def begin(self) -> None:
        """Makes the folder, before any step; what was begun in another form is deleted."""
        begin(self.scratch, {"form": FORM, **asdict(self.sizes)})

    def read(self, share: slice = EVERY) -> None:
        """Sources to batches."""
        new = write_batches(self.sources, self.data, self.scratch, self.sizes.batch_lines, share)
        for _ in tqdm(new, "reading", unit="batch", disable=None):
            pass

    def compare(self, share: slice = EVERY) -> None:
        """Runs to what is found among them."""
        compare(stored_batches(self.scratch), self.data, self.found, self.sizes.range_records, share)

    def verify(self, share: slice = EVERY) -> None:
        """Candidates to near-duplicates."""
        verify_all(stored_batches(self.scratch), self.data, self.found, share)

    @cached_property
    def compared(self) -> ComparedBatches:
        """The batches after all that."""
        return ComparedBatches(self.sources, self.data, self.found, stored_batches(self.scratch))

    def tally(self) -> dict[str, Any]:
        """`facts`, as `tally.card_facts` has them, and `rows`, those of each batch for every one of TABLES."""
        path = self.scratch / "tally.json"
        if not path.exists():
            total = tally(self.compared, self.sizes.range_records)
            facts = card_facts(self.compared, total, self.sizes.range_records)
            path.with_suffix(".draft").write_text(json.dumps({"facts": facts, "rows": list(total.rows.values())}))
            path.with_suffix(".draft").replace(path)
        return json.loads(path.read_text())

    def write(self, share: slice = EVERY) -> dict[str, dict[str, list[Shard]]]:
        """Batches to shards, by config and split."""
        rows = dict(zip(TABLES, self.tally()["rows"], strict=True))
        return write_shards(self.compared, plan(rows, self.sizes.shard_rows), self.folder, share)


def build_dataset(sources: list[WeightedSource], data: Data, folder: Path, sizes: Sizes = SIZES) -> dict[str, Any]:
    """Makes every table of the dataset under a folder, or carries on where it, or a process with a share, was killed.

    Returns:
        `shards`, by config and split: `pairs`, `conversations` and, where there are any, `dropped` (the pairs that a
        rule kept out: the rule's name in `rule`, their split in `split`) and `dropped_conversations` (see
        `cross_split_overlap`); and what `tally.card_facts` says of them.
    """
    build = Build(sources, data, folder, sizes)
    build.begin()
    build.read()
    build.compare()
    build.verify()
    return {**build.tally()["facts"], "shards": build.write()}


def begin(scratch: Path, form: dict[str, int]) -> None:
    """Makes the folder of the batches; one that was begun in another form is deleted."""
    said = scratch / "form.json"
    if scratch.exists() and not (said.exists() and json.loads(said.read_text()) == form):
        shutil.rmtree(scratch)
    if not scratch.exists():
        draft = scratch.with_suffix(".draft")
        draft.mkdir(parents=True, exist_ok=True)
        (draft / said.name).write_text(json.dumps(form))
        draft.rename(scratch)


def build_tables(corpora: list[WeightedCorpus], data: Data, sizes: Sizes = SIZES) -> tuple[Tables, Counter[str]]:
    """The tables of small corpora, in memory: what `build_dataset` writes, and how many rows each rule dropped."""
    with tempfile.TemporaryDirectory() as folder:
        sources = [WeightedSource(named.name, named.weight, in_memory(named.corpus)) for named in corpora]
        made = build_dataset(sources, data, Path(folder), sizes)
        tables = {
            config: {split: read_shards(of_split, Path(folder)) for split, of_split in splits.items()}
            for config, splits in made["shards"].items()
        }
    return tables, Counter(made["dropped"])


def in_memory(corpus: Corpus) -> Any:
    """Reads a corpus that is in memory, as `WeightedSource.batches`."""
    return lambda first: [corpus]


def read_shards(shards: list[Shard], folder: Path) -> pa.Table:
    """The rows of shards, in memory."""
    return pa.concat_tables(pq.ParquetFile(folder / shard.path).read() for shard in shards)
