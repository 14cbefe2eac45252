"""Benchmark of the judge-free evaluation: `python -m benchmarks.eval [--prompts 2000] [--corpus ZIP]`.

On the starter, in float32, against one item at a time: reply perplexity in batches; Hits@1/20 with the prompt read once
for its 20 candidates; and responses of three variants in one batch against one pass for each. The one-by-one side is
timed on a part of the prompts, sampled by seed, and what both sides give is compared on it. Three variants in one
batch have no bound: on a CPU it is no faster than three passes, for a batch of 32 keeps it busy either way.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import finish_benchmark, timed
from chat.variants import ModelRef

BARS: dict[str, tuple[str, float]] = {
    "batched_over_single": (">=", 1.7),
    "hits_over_single": (">=", 3),
    "max_difference": ("<=", 1e-4),
}
CANDIDATES = 20


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=2_000, help="default: %(default)s")
    parser.add_argument("--corpus", type=Path, default=Path("training/sample"), help="default: %(default)s")
    parser.add_argument("--single", type=int, default=100, help="prompts done one by one (default: %(default)s)")
    given = parser.parse_args(argv)
    import torch
    import transformers

    print(f"{given.prompts:,} prompts of {given.corpus}; Python {platform.python_version()}, ", end="")
    threads = f"{torch.get_num_threads()} threads, {os.cpu_count()} cores"
    print(f"torch {torch.__version__} ({threads}), transformers {transformers.__version__}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        figures = measure(sample_pairs(given.corpus, given.prompts), min(given.single, given.prompts), Path(scratch))
    print("\n| what | value |\n|---|---:|")
    for name, value in figures.items():
        print(f"| {name} | {value:,} |")
    finish_benchmark(figures, BARS)


def sample_pairs(corpus: Path, count: int) -> list[tuple[list[dict[str, str]], str]]:
    """Prompts and replies sampled from a corpus by seed; again from the start where it has not so many."""
    from training.data.corpus import sources
    from training.data.corpus.assemble import WeightedCorpus
    from training.data.pairs import build_tables
    from training.recipe_schema import Data

    table = build_tables([WeightedCorpus("corpus", 1, sources.read(corpus))], Data())[0]["pairs"]["train"]
    rows = table.select(["prompt", "completion"]).to_pylist()
    random.Random(1).shuffle(rows)
    return [(row["prompt"], row["completion"][0]["content"]) for row in (rows * (count // len(rows) + 1))[:count]]


def measure(pairs: list[tuple[list[dict[str, str]], str]], single: int, scratch: Path) -> dict[str, float]:
    """Figures by name; `single` of the pairs are also done one by one."""
    from chat.generate import generate
    from chat.likelihood import log_probs
    from chat.sampling import Sampling
    from chat.variants import ModelRef, load_variants
    from eval.ranking import log_probs_of_many

    variants = load_variants(ModelRef("training/starter"), random_adapters(scratch))
    log_probs(variants, "sft", pairs[:4])
    seconds: dict[str, float] = {}
    batched: list[Any] = []
    seconds["perplexity, batched"] = timed(lambda: batched.extend(log_probs(variants, "sft", pairs)))
    alone: list[Any] = []
    seconds["perplexity, one by one"] = timed(
        lambda: alone.extend(log_probs(variants, "sft", pairs[:single], batch_size=1))
    )
    difference = abs(mean_perplexity(alone) / mean_perplexity(batched[:single]) - 1)

    replies = sorted({reply for _, reply in pairs})
    rng = random.Random(2)
    groups = [[reply, *rng.sample(replies, CANDIDATES - 1)] for _, reply in pairs[: 2 * single]]
    shared: list[Any] = []
    seconds["hits, prompt read once"] = timed(
        lambda: shared.extend(
            log_probs_of_many(variants, "sft", prompt, group)
            for (prompt, _), group in zip(pairs[: 2 * single], groups, strict=True)
        )
    )
    few = max(2, single // 8)
    apart: list[Any] = []
    seconds["hits, one by one"] = timed(
        lambda: apart.extend(
            log_probs(variants, "sft", [(prompt, reply) for reply in group], batch_size=1)
            for (prompt, _), group in zip(pairs[:few], groups[:few], strict=True)
        )
    )
    for mine, other in zip(shared[:few], apart, strict=True):
        difference = max(difference, abs(mean_perplexity(mine) / mean_perplexity(other) - 1))

    prompts, sampling = [prompt for prompt, _ in pairs[: 2 * single]], Sampling(temperature=0, max_new_tokens=32)
    names = ("base", "sft", "dpo")
    generate(variants, prompts[:2], ["sft"] * 2, sampling)
    seconds["three variants in one batch"] = timed(
        lambda: generate(variants, [p for p in prompts for _ in names], [*names] * len(prompts), sampling)
    )
    seconds["three variants, one pass each"] = timed(
        lambda: [generate(variants, prompts, [name] * len(prompts), sampling) for name in names]
    )
    return {
        "batched_over_single": round(
            (seconds["perplexity, one by one"] / single) / (seconds["perplexity, batched"] / len(pairs)), 2
        ),
        "hits_over_single": round(
            (seconds["hits, one by one"] / few) / (seconds["hits, prompt read once"] / len(groups)), 2
        ),
        "max_difference": float(f"{difference:.2g}"),
        "three_way_over_three_passes": round(
            seconds["three variants, one pass each"] / seconds["three variants in one batch"], 2
        ),
        **{f"{name.replace(', ', '_').replace(' ', '_')}_seconds": round(value, 2) for name, value in seconds.items()},
    }


def random_adapters(scratch: Path) -> dict[str, ModelRef]:
    """LoRA adapters on the starter with random weights, two of the starter recipe's shape."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    made = {}
    for seed, name in enumerate(("sft", "dpo")):
        base = AutoModelForCausalLM.from_pretrained("training/starter", dtype=torch.float32)
        config = LoraConfig(r=16, target_modules="all-linear", trainable_token_indices={"embed_tokens": [1, 2]})
        model = get_peft_model(base, config)
        torch.manual_seed(seed)
        for parameter_name, parameter in model.named_parameters():
            if "lora_B" in parameter_name:
                parameter.data += 0.02 * torch.randn_like(parameter)
        model.save_pretrained(str(scratch / name))
        made[name] = ModelRef(str(scratch / name))
    return made


def mean_perplexity(log_probs: list[list[float]]) -> float:
    """Perplexity over all tokens."""
    tokens = [value for reply in log_probs for value in reply]
    return math.exp(-sum(tokens) / len(tokens))


if __name__ == "__main__":
    main()
