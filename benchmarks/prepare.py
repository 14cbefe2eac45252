"""Benchmark of dataset and packing: `python -m benchmarks.prepare --corpus ZIP --tokenizer FOLDER_OR_HUB_ID`.

Making the dataset (reading, cleaning, windows, rules, comparison, all configs as parquet) is measured against one plain
pass over the raw files that only splits rows into fields, and at an eighth, a quarter and half of the films for the
exponent of its growth. Tokenizing and packing every train pair is measured against TRL's own preprocessing of the same
dataset, which gets a process for every core. Peak memory is that of a process that does nothing else.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.harness import finish_benchmark, peak_memory, run_child, timed
from hub.errors import one_line_errors

BARS: dict[str, tuple[str, float]] = {
    "prepare_over_split": ("<=", 20),
    "peak_gb": ("<=", 1.0),
    "pack_over_trl": (">=", 3),
    "fill": (">=", 0.99),
    "exponent": ("<=", 1.1),
}
SHARES = (1 / 8, 1 / 4, 1 / 2, 1)
MAX_LENGTH = 512


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="the Cornell corpus, zip")
    parser.add_argument("--tokenizer", default="Qwen/Qwen2.5-0.5B", help="folder or Hub id (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="the fastest of them counts (default: %(default)s)")
    parser.add_argument("--peak", type=Path, help=argparse.SUPPRESS)  # a process of its own, to measure its memory
    arguments = parser.parse_args(argv)
    with one_line_errors(), tempfile.TemporaryDirectory() as scratch:
        if arguments.peak:
            make_dataset(arguments.peak, Path(scratch))
            print(peak_memory() / 1e9)
            return
        figures = measure(arguments.corpus, arguments.tokenizer, arguments.repeats, Path(scratch))
    finish_benchmark(figures, BARS)


def measure(corpus: Path, tokenizer: str, repeats: int, scratch: Path) -> dict[str, float]:
    """Prints the set-up and a table, and returns the figures by name."""
    import pyarrow
    import trl
    from datasets import Dataset

    print(
        f"{corpus.name}, {tokenizer}; Python {platform.python_version()}, pyarrow {pyarrow.__version__}, "
        f"trl {trl.__version__}, {os.cpu_count()} cores; the fastest of {repeats}",
        flush=True,
    )
    folders = [corpus_share(corpus, share, scratch / f"part-{share}") for share in SHARES]
    make_dataset(folders[0], scratch)  # what is loaded at the first use is no part of it
    seconds = {"split": math.inf, **{f"prepare {share:g}": math.inf for share in SHARES}}
    for _ in range(repeats):
        seconds["split"] = min(seconds["split"], timed(lambda: split_only(folders[-1])))
        for share, folder in zip(SHARES, folders, strict=True):
            name = f"prepare {share:g}"
            seconds[name] = min(seconds[name], timed(partial(make_dataset, folder, scratch)))
    dataset = Dataset.from_parquet(str(make_dataset(folders[-1], scratch) / "pairs" / "train.parquet"))
    packed, figures = pack_ours(dataset, tokenizer, scratch)
    seconds["encode and pack"] = packed
    seconds["TRL's preprocessing"] = pack_by_trl(dataset, tokenizer, scratch)
    print("\n| what | seconds |\n|---|---:|")
    for name, value in seconds.items():
        print(f"| {name} | {value:.2f} |")
    print(flush=True)
    sizes = [(folder / "movie_lines.txt").stat().st_size for folder in folders]
    return {
        "prepare_over_split": round(seconds["prepare 1"] / seconds["split"], 2),
        "peak_gb": round(peak_gb(folders[-1]), 3),
        "pack_over_trl": round(seconds["TRL's preprocessing"] / seconds["encode and pack"], 2),
        **figures,
        "exponent": round(slope(sizes, [seconds[f"prepare {share:g}"] for share in SHARES]), 3),
        **{f"{name.replace(' ', '_')}_seconds": round(value, 2) for name, value in seconds.items()},
    }


def corpus_share(corpus: Path, share: float, folder: Path) -> Path:
    """Writes the raw files of the first films of a corpus, a share of all."""
    from training.data.corpus import cornell

    folder.mkdir(parents=True)
    with zipfile.ZipFile(corpus) as archive:
        found = {name.rsplit("/", 1)[-1]: name for name in archive.namelist() if "__MACOSX" not in name}
        titles = archive.read(found[cornell.TITLES_FILE]).split(b"\n")
        films = {row.split(b" +++$+++ ")[0] for row in titles[: round(share * len(titles))]}
        for name, column in (
            (cornell.LINES_FILE, 2),
            (cornell.CONVERSATIONS_FILE, 2),
            (cornell.TITLES_FILE, 0),
            (cornell.CHARACTERS_FILE, 2),
        ):
            rows = archive.read(found[name]).split(b"\n")
            kept = [row for row in rows if row and row.split(b" +++$+++ ")[column] in films]
            (folder / name).write_bytes(b"\n".join(kept) + b"\n")
    return folder


def split_only(folder: Path) -> int:
    """The plain pass that making the dataset is measured against."""
    from training.data.corpus import cornell

    fields = 0
    for name in cornell.FILES:
        for row in (folder / name).read_bytes().split(b"\n"):
            fields += len(row.split(b" +++$+++ "))
    return fields


def make_dataset(folder: Path, scratch: Path) -> Path:
    """Makes all the parquet that `training.prepare` publishes, anew; returns the folder of it."""
    from training.data.batches import WeightedSource
    from training.data.corpus import sources
    from training.data.pairs import build_dataset
    from training.recipe_schema import Data

    shutil.rmtree(scratch / "parquet", ignore_errors=True)
    source = WeightedSource("corpus", 1, lambda first: sources.read_batches(folder, first=first))
    build_dataset([source], Data(), scratch / "parquet")
    return scratch / "parquet"


def peak_gb(folder: Path) -> float:
    """Peak resident memory in GB of a process that makes the dataset."""
    code = [sys.executable, "-m", "benchmarks.prepare", "--corpus", str(folder), "--peak", str(folder)]
    return float(run_child(code, "making the dataset").split()[-1])


def packing_arguments(scratch: Path, **changes: Any) -> Any:
    """TRL's arguments of both sides."""
    from trl import SFTConfig

    return SFTConfig(
        output_dir=str(scratch), packing=True, max_length=MAX_LENGTH, completion_only_loss=True,
        report_to="none", bf16=False, use_cpu=True, **changes,
    )  # fmt: skip


def pack_ours(dataset: Any, name: str, scratch: Path) -> tuple[float, dict[str, float]]:
    """Seconds of `training.packing` on the pairs, and what came of it."""
    from transformers import AutoTokenizer

    from chat.template import configure_tokenizer
    from training.data.encode import IGNORED, encode
    from training.data.packing import describe, examples

    tokenizer = configure_tokenizer(AutoTokenizer.from_pretrained(name))
    pairs = dataset.select_columns(["prompt", "completion"]).with_format("arrow")[:]
    arguments = packing_arguments(scratch)
    started = time.perf_counter()
    encoded = encode(tokenizer, pairs, MAX_LENGTH)
    packed = examples(encoded, arguments)
    seconds = time.perf_counter() - started
    facts = describe(encoded, len(packed), MAX_LENGTH)
    trained = int((packed.with_format("arrow")[:]["labels"].combine_chunks().flatten().to_numpy() != IGNORED).sum())
    print(", ".join(f"{key}: {value:,}" for key, value in facts.items()), flush=True)
    return seconds, {
        "fill": facts["fill"],
        "reply_tokens_lost": encoded.reply_tokens + encoded.dropped_reply_tokens - trained,
    }


def pack_by_trl(dataset: Any, name: str, scratch: Path) -> float:
    """Seconds in which SFTTrainer prepares the same pairs; a tiny model keeps everything else small."""
    from datasets import disable_caching
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM
    from trl import SFTTrainer

    from chat.template import configure_tokenizer

    disable_caching()
    tokenizer = configure_tokenizer(AutoTokenizer.from_pretrained(name))
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=1, num_key_value_heads=1, tie_word_embeddings=True,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config)
    pairs = dataset.select_columns(["prompt", "completion"])
    arguments = packing_arguments(scratch, dataset_num_proc=os.cpu_count())
    return timed(lambda: SFTTrainer(model=model, args=arguments, train_dataset=pairs, processing_class=tokenizer))


def slope(sizes: list[int], seconds: list[float]) -> float:
    """The exponent of growth: least squares of log seconds over log bytes."""
    import numpy as np

    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


if __name__ == "__main__":
    main()
