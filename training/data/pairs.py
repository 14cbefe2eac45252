"""Corpora to tables, at any size: batches of conversations on disk, one of them in memory at a time.

    read      sources -> batches: lines, windows, splits, each pair's own rules; sorted runs of what is compared
    compare   runs -> pairs that another film has, conversations that a stricter split overlaps
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
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from hub.parquet import Shard
from training.data.batches import WeightedSource, write_batches
from training.data.corpus.assemble import Corpus, WeightedCorpus
from training.data.judged import compare
from training.data.shards import plan, write_shards
from training.data.tally import card_facts, tally
from training.recipe_schema import Data

Tables = dict[str, dict[str, pa.Table]]  # by config and split
FORM = 2  # of what lies in a folder of batches; another form begins anew


@dataclass(frozen=True)
class Sizes:
    """What is held in memory, and in a file, at most."""

    batch_lines: int = 100_000
    shard_rows: int = 1_000_000  # about 100 MB of pairs
    range_records: int = 1_000_000  # of 32 bytes, sorted at once


SIZES = Sizes()


def build_dataset(sources: list[WeightedSource], data: Data, folder: Path, sizes: Sizes = SIZES) -> dict[str, Any]:
    """Makes every table of the dataset as parquet under a folder, or carries on where it was killed.

    Its batches lie in `batches` inside the folder, which may be deleted when it is done.

    Returns:
        `shards`, by config and split: `pairs`, `conversations` and, where there are any, `dropped` (the pairs that a
        rule kept out: the rule's name in `rule`, their split in `split`) and `dropped_conversations` (see
        `cross_split_overlap`); and what `tally.card_facts` says of them.
    """
    scratch = folder / "batches"
    begin(scratch, {"form": FORM, **asdict(sizes)})
    for _ in tqdm(write_batches(sources, data, scratch, sizes.batch_lines), "reading", unit="batch", disable=None):
        pass
    comparison = compare(sources, data, scratch, sizes.range_records)
    total = tally(comparison, sizes.range_records)
    said = card_facts(comparison, total, sizes.range_records)
    return {**said, "shards": write_shards(comparison, plan(total.rows, sizes.shard_rows), folder)}


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
    return tables, made["dropped"]


def in_memory(corpus: Corpus) -> Any:
    """Reads a corpus that is in memory, as `WeightedSource.batches`."""
    return lambda first: [corpus]


def read_shards(shards: list[Shard], folder: Path) -> pa.Table:
    """The rows of shards, in memory."""
    return pa.concat_tables(pq.ParquetFile(folder / shard.path).read() for shard in shards)
