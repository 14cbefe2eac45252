"""Parquet files of a dataset by config and split, and the card metadata by which the Hub shows and loads them.

A split is one file, `config/split.parquet`, or several shards, `config/split-00000-of-00003.parquet`.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa


class Shard(NamedTuple):
    """One parquet file of a split."""

    path: str
    """In the repository, and under the folder that it was written to."""
    rows: int
    nbytes: int
    """Of the rows in Arrow's memory."""


def shard_paths(config: str, split: str, count: int) -> list[str]:
    """Paths of the shards of a split, by the Hub's standard naming; a single one has the name of its split alone."""
    if count == 1:
        return [f"{config}/{split}.parquet"]
    return [f"{config}/{split}-{place:05}-of-{count:05}.parquet" for place in range(count)]


def write_tables(
    tables: Mapping[str, Mapping[str, pa.Table]], folder: Path
) -> tuple[dict[str, bytes | Path], dict[str, Any]]:
    """Writes tables by config and split under a folder, a file each; the first config is the default one.

    Returns:
        The files by their path in the repository, and `card_metadata` of them.
    """
    import pyarrow.parquet as pq

    shards = {
        config: {
            split: [Shard(shard_paths(config, split, 1)[0], len(table), table.nbytes)]
            for split, table in splits.items()
        }
        for config, splits in tables.items()
    }
    keys = [(config, split) for config in tables for split in tables[config]]
    files: dict[str, bytes | Path] = {}
    for config, split in keys:
        path = shards[config][split][0].path
        files[path] = folder / path
        (folder / path).parent.mkdir(parents=True, exist_ok=True)

    def write(config: str, split: str) -> None:
        pq.write_table(tables[config][split], folder / shards[config][split][0].path, compression="zstd")

    with ThreadPoolExecutor() as pool:  # compression lets other threads run
        list(pool.map(write, *zip(*keys, strict=True)))
    return files, card_metadata(shards, folder)


def card_metadata(shards: Mapping[str, Mapping[str, list[Shard]]], folder: Path) -> dict[str, Any]:
    """Metadata for the card of a dataset from its shards under a folder, by config and split; the first is the default.

    Returns:
        `configs`, `dataset_info` (features, rows and bytes) and `size_categories`.
    """
    import pyarrow.parquet as pq
    from datasets import DatasetInfo, Features, SplitDict, SplitInfo
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    infos: dict[str, DatasetInfo] = {}
    configs: list[dict[str, Any]] = []
    for config, splits in shards.items():
        every = [shard for of_split in splits.values() for shard in of_split]
        configs.append(
            {
                "config_name": config,
                "data_files": [{"split": split, "path": pattern(config, split, splits[split])} for split in splits],
                **({} if configs else {"default": True}),
            }
        )
        sizes = {split: (sum(s.nbytes for s in of), sum(s.rows for s in of)) for split, of in splits.items()}
        infos[config] = DatasetInfo(
            features=Features.from_arrow_schema(pq.read_schema(folder / every[0].path)),
            splits=SplitDict({split: SplitInfo(split, *size) for split, size in sizes.items()}),
            download_size=sum((folder / shard.path).stat().st_size for shard in every),
            dataset_size=sum(shard.nbytes for shard in every),
            config_name=config,
        )
    data: Any = DatasetCardData()
    DatasetInfosDict(infos).to_dataset_card_data(data)
    rows = sum(shard.rows for of_split in next(iter(shards.values())).values() for shard in of_split)
    return {**data.to_dict(), "configs": configs, "size_categories": [size_category(rows)]}


def pattern(config: str, split: str, shards: list[Shard]) -> str:
    """Path of a split's file, or the pattern of its shards' paths."""
    return shards[0].path if len(shards) == 1 else f"{config}/{split}-*.parquet"


def size_category(rows: int) -> str:
    """The Hub's `size_categories` value for a number of rows."""
    names = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
    place = next((place for place in range(len(names)) if rows < 10 ** (place + 3)), len(names))
    if place == 0:
        return f"n<{names[0]}"
    return f"{names[place - 1]}<n<{names[place]}" if place < len(names) else f"n>{names[-1]}"
