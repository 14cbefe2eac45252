"""Tables of the dataset as shards of parquet, each written by itself: a start after a kill makes what is missing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
from tqdm import tqdm

from hub.parquet import Shard, shard_paths
from training.data.corpus.assemble import Speaker
from training.data.judged import TABLES, ComparedBatches
from training.data.sorted_runs import EVERY

DROPPED = "dropped"
REPEATED = [
    *(f"{column}.list.element.role" for column in ("prompt", "completion", "messages")),
    *(f"speakers.list.element.{field}" for field in Speaker._fields),
    *("source", "movie_id", "movie_title", "year", "rating", "votes", "genres.list.element", "script_url"),
    *("split", "rule"),
]
"""Columns with few values in many rows: those that parquet keeps as a dictionary. A dictionary of texts only costs."""
WRITERS = min(2, os.cpu_count() or 1)  # shards at once: each has one batch in memory


class Planned(NamedTuple):
    """A shard to be written: rows `start` to below `end` of a table, of which each batch has so many."""

    config: str
    split: str
    path: str
    start: int
    end: int
    counts: list[int]


def plan(rows: dict[tuple[str, str], list[int]], shard_rows: int) -> list[Planned]:
    """Shards of like size of at most `shard_rows` rows, in the order of the tables; of `dropped` only what has rows."""
    planned = []
    for config, split in TABLES:
        counts = rows[config, split]
        total = sum(counts)
        if not total and config.startswith(DROPPED):
            continue
        paths = shard_paths(config, split, max(1, -(-total // shard_rows)))
        edges = [total * place // len(paths) for place in range(len(paths) + 1)]
        planned += [
            Planned(config, split, path, start, end, counts)
            for path, start, end in zip(paths, edges, edges[1:], strict=False)
        ]
    return planned


def write_shards(
    comparison: ComparedBatches, planned: list[Planned], folder: Path, share: slice = EVERY
) -> dict[str, dict[str, list[Shard]]]:
    """Writes under a folder the shards of a share that are not there yet; returns all of it, by config and split."""
    planned = planned[share]
    shards: dict[str, dict[str, list[Shard]]] = {}
    with ThreadPoolExecutor(WRITERS) as pool:  # gathering and compression let other threads run
        written = pool.map(lambda one: write_shard(comparison, one, folder), planned)
        for one, shard in zip(planned, tqdm(written, "writing", len(planned), disable=None), strict=True):
            shards.setdefault(one.config, {}).setdefault(one.split, []).append(shard)
    return shards


def write_shard(comparison: ComparedBatches, planned: Planned, folder: Path) -> Shard:
    """Writes one shard, a row group of each batch, unless it is there: its size is noted before it has its name."""
    path = folder / planned.path
    note = comparison.folder / f"{planned.path.replace('/', '-')}.json"
    if path.exists() and note.exists():
        return Shard(*json.loads(note.read_text()))
    path.parent.mkdir(parents=True, exist_ok=True)
    draft, nbytes, writer = path.with_suffix(".draft"), 0, None
    for place, start, end in pieces(planned):
        judged = comparison.judged(place)
        table = judged.table(planned.config, judged.rows(planned.config, planned.split)[start:end])
        writer = writer or pq.ParquetWriter(draft, table.schema, compression="zstd", use_dictionary=REPEATED)
        writer.write_table(table)
        nbytes += table.nbytes
    assert writer
    writer.close()
    shard = Shard(planned.path, planned.end - planned.start, nbytes)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.with_suffix(".draft").write_text(json.dumps(shard))
    note.with_suffix(".draft").replace(note)
    draft.replace(path)
    return shard


def pieces(planned: Planned) -> Iterator[tuple[int, int, int]]:
    """The batches that a shard has rows of, and which of the table's rows; an empty one has none of the first."""
    if planned.start == planned.end:
        yield 0, 0, 0
    before = 0
    for place, count in enumerate(planned.counts):
        start, end = max(planned.start - before, 0), min(planned.end - before, count)
        if start < end:
            yield place, start, end
        before += count
