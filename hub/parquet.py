"""Parquet files of a dataset by config and split, and the card metadata by which the Hub shows and loads them."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def write_tables(
    tables: Mapping[str, Mapping[str, pa.Table]], folder: Path
) -> tuple[dict[str, bytes | Path], dict[str, Any]]:
    """Writes tables by config and split under a folder; the first config is the default one.

    Returns:
        The files by their path in the repository, `config/split.parquet`, and the metadata for the card: `configs`,
        `dataset_info` (features, rows and bytes) and `size_categories`.
    """
    import pyarrow.parquet as pq
    from datasets import DatasetInfo, Features, SplitDict, SplitInfo
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    paths = {(config, split): folder / config / f"{split}.parquet" for config in tables for split in tables[config]}
    for path in paths.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor() as pool:  # compression lets other threads run
        list(pool.map(lambda key: pq.write_table(tables[key[0]][key[1]], paths[key], compression="zstd"), paths))
    files: dict[str, bytes | Path] = {f"{config}/{split}.parquet": path for (config, split), path in paths.items()}
    infos: dict[str, DatasetInfo] = {}
    configs: list[dict[str, Any]] = []
    for config, splits in tables.items():
        configs.append(
            {
                "config_name": config,
                "data_files": [{"split": split, "path": f"{config}/{split}.parquet"} for split in splits],
                **({} if configs else {"default": True}),
            }
        )
        infos[config] = DatasetInfo(
            features=Features.from_arrow_schema(next(iter(splits.values())).schema),
            splits=SplitDict({split: SplitInfo(split, table.nbytes, len(table)) for split, table in splits.items()}),
            download_size=sum(paths[config, split].stat().st_size for split in splits),
            dataset_size=sum(table.nbytes for table in splits.values()),
            config_name=config,
        )
    data: Any = DatasetCardData()
    DatasetInfosDict(infos).to_dataset_card_data(data)
    rows = sum(map(len, next(iter(tables.values())).values()))
    return files, {**data.to_dict(), "configs": configs, "size_categories": [size_category(rows)]}


def size_category(rows: int) -> str:
    """The Hub's `size_categories` value for a number of rows."""
    limits = {10**3: "n<1K", 10**4: "1K<n<10K", 10**5: "10K<n<100K", 10**6: "100K<n<1M", 10**7: "1M<n<10M"}
    return next((name for limit, name in limits.items() if rows < limit), "n>10M")
