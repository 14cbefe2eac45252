"""Benchmark of the starter's held-out loss: `python -m benchmarks.starter --corpus cornell_movie_dialogs_corpus.zip`.

Nats per byte over the conversations of the test films, lines joined by newlines, against a 5-gram Kneser-Ney model that
read the conversations of the train films. Both predict the same tokens, those between two `<|endoftext|>` and the
closing one; the bytes are those of the text alone.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import finish_benchmark
from hub.errors import one_line_errors

ORDER = 5
BARS: dict[str, tuple[str, float]] = {"starter_nats_per_byte": ("<=", 1.10)}


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="the Cornell corpus, zip or folder")
    parser.add_argument("--model", type=Path, default=Path("training/starter"), help="default: %(default)s")
    arguments = parser.parse_args(argv)
    with one_line_errors():
        figures = measure(arguments.corpus, arguments.model)
    finish_benchmark(figures, BARS)


def measure(corpus: Path, folder: Path) -> dict[str, float]:
    """Prints the set-up and a table, and returns the figures by name."""
    import numpy
    import torch
    import transformers

    from chat.variants import has_bf16
    from training.base.pretrain_data import conversations_by_split
    from training.data.corpus import sources

    arithmetic = "bf16 autocast" if has_bf16() else "float32"
    print(
        f"{folder} on {corpus.name}; Python {platform.python_version()}, torch {torch.__version__} "
        f"({torch.get_num_threads()} threads, {arithmetic}), transformers {transformers.__version__}, "
        f"{ORDER}-gram Kneser-Ney of benchmarks.ngram on numpy {numpy.__version__}"
    )
    texts = conversations_by_split(sources.read(corpus))
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    size = {split: sum(len(text.encode()) for text in texts[split]) for split in texts}
    print(
        ", ".join(f"{split} {len(texts[split]):,} conversations, {size[split]:,} bytes" for split in texts), flush=True
    )
    figures = {}
    for name, loss in (("kneser_ney", kneser_ney_loss), ("starter", starter_loss)):
        started = time.monotonic()
        figures[f"{name}_nats_per_byte"] = round(loss(folder, tokenizer, texts), 4)
        figures[f"{name}_seconds"] = round(time.monotonic() - started, 1)
    print("\n| model | nats per byte | seconds |\n|---|---:|---:|")
    for name, title in (("kneser_ney", f"{ORDER}-gram Kneser-Ney"), ("starter", "starter")):
        print(f"| {title} | {figures[f'{name}_nats_per_byte']:.4f} | {figures[f'{name}_seconds']:.1f} |")
    print(flush=True)
    return figures


def starter_loss(folder: Path, tokenizer: Any, texts: dict[str, list[str]]) -> float:
    """Nats per byte of the saved weights on the test films."""
    import torch
    from transformers import Qwen2ForCausalLM

    from training.base.pretrain_model import nats_per_byte

    model = Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    nats: float = nats_per_byte(model, tokenizer, texts["test"])
    return nats


def kneser_ney_loss(folder: Path, tokenizer: Any, texts: dict[str, list[str]]) -> float:
    """Nats per byte, on the test films, of the n-gram model of the train films over the same tokens."""
    from benchmarks.ngram import KneserNey
    from training.base.pretrain_data import BOUNDARY

    boundary = tokenizer.convert_tokens_to_ids(BOUNDARY)
    train, test = (
        [[boundary, *ids, boundary] for ids in tokenizer(texts[split])["input_ids"]] for split in ("train", "test")
    )
    total = KneserNey(train, len(tokenizer), ORDER).log_probs(test).sum()
    return float(-total / sum(len(text.encode()) for text in texts["test"]))


if __name__ == "__main__":
    main()
