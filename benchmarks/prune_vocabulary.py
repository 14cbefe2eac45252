"""Rows that a pruned vocabulary keeps: `python -m benchmarks.prune_vocabulary --namespace NAMESPACE --tokenizer REPO`.

By how often the train pairs must have a token (`prune.min_count`): rows of the embedding, the share of test lines that
have the same tokens as before, and how many tokens the test lines are of, over how many they were. It takes a tokenizer
alone, and no weights.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import finish_benchmark
from hub.errors import one_line_errors
from hub.lineage import pin
from hub.names import Names


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--namespace", required=True, help="that has the dialogue dataset")
    parser.add_argument("--tokenizer", required=True, help="Hub id or folder")
    parser.add_argument("--min-counts", nargs="+", type=int, default=[1, 5, 10], help="default: 1 5 10")
    parser.add_argument("--lines", type=int, default=4_000, help="of the test films (default: %(default)s)")
    given = parser.parse_args(argv)
    with one_line_errors():
        figures = kept_rows(given)
    finish_benchmark(figures, {})


def kept_rows(given: argparse.Namespace) -> dict[str, Any]:
    """Figures by name and `min_count`; prints each as it is counted."""
    from chat.template import load_tokenizer
    from training.base.pruned_base import lines_of, used_ids
    from training.base.pruned_vocabulary import check_spelling, kept_ids, save_pruned_tokenizer
    from training.data.encode import published_pairs

    dialogue = pin(Names(given.namespace, "").dialogue, "dataset")
    train, test = published_pairs(dialogue, None, 1), lines_of(published_pairs(dialogue, None, 1, "test"))
    random.Random(1).shuffle(test)
    test, lines, tokenizer = test[: given.lines], lines_of(train), load_tokenizer(given.tokenizer, None)

    def tokens(one: Any) -> int:
        return sum(len(line.ids) for line in one.backend_tokenizer.encode_batch_fast(test, add_special_tokens=False))

    before = tokens(tokenizer)
    figures: dict[str, Any] = {"tokens": len(tokenizer)}
    print("| min_count | rows | test lines spelled as before | their tokens |\n|---:|---:|---:|---:|")
    for count in given.min_counts:
        kept = kept_ids(tokenizer, used_ids(tokenizer, train, lines, count))
        with tempfile.TemporaryDirectory() as folder:
            pruned = save_pruned_tokenizer(tokenizer, kept, Path(folder))
        same = check_spelling(tokenizer, pruned, kept, test) / len(test)
        more = tokens(pruned) / before
        print(f"| {count} | {len(kept):,} | {same:.1%} | {more:.4f} |", flush=True)
        figures |= {f"rows_{count}": len(kept), f"same_{count}": round(same, 4), f"tokens_{count}": round(more, 4)}
    return figures


if __name__ == "__main__":
    main()
