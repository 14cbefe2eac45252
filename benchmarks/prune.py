"""Benchmark of pruning: `python -m benchmarks.prune --namespace NAMESPACE --size smollm2-135m [--pruned SIZE]`.

A family on the Hub and what `training.prune` made of it, in one process and turn by turn: bytes of the engine's
weights, seconds to the first token and for an answer of 64 (the base alone, and all variants at once), the same in
seconds of CPU time, nats per byte of test pairs, and how many greedy replies to test prompts are the same. The best of
the rounds counts for either side, for other work on the machine only ever adds; it adds least to CPU time.

- nats_per_byte_over_whole: of the base; 1 is no loss, and below 1 the rest of the vocabulary was in the way.
- tokens_per_second_over_whole: one answer of the base.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from benchmarks.harness import finish_benchmark
from benchmarks.serve import answer, never_ending
from benchmarks.serve_parts import compiled_engine
from chat.engine.threads import run_in_own_thread
from chat.variants import ModelRef
from hub.errors import one_line_errors
from hub.names import Names

BARS: dict[str, tuple[str, float]] = {
    "nats_per_byte_over_whole": ("<=", 1.005),
    "tokens_per_second_over_whole": (">=", 1.0),
}
ADAPTERS_OF_A_FAMILY = ("sft", "dpo")


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--size", default="smollm2-135m", help="the whole family (default: %(default)s)")
    parser.add_argument("--pruned", help="size of the pruned one (default: SIZE-pruned)")
    parser.add_argument("--base", help="Hub id of the whole base, where it is not published in this namespace")
    parser.add_argument(
        "--pairs", type=int, default=100, help="of the test split, for the loss; 0: none (default: 100)"
    )
    parser.add_argument("--tokens", type=int, default=64, help="of an answer, at most 64 (default: %(default)s)")
    parser.add_argument("--replies", type=int, default=50, help="greedy replies compared (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of the speed; 0: none is taken (default: %(default)s)")
    parser.add_argument("--plain", action="store_true", help="do not compile the engine's steps, which takes minutes")
    given = parser.parse_args(argv)
    import torch

    print(
        f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads of "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {given.tokens} tokens, best of {given.rounds}"
    )
    with one_line_errors():
        sizes = {"whole": given.size, "pruned": given.pruned or f"{given.size}-pruned"}
        families = {side: Names(given.namespace, size) for side, size in sizes.items()}
        bases = {side: names.base for side, names in families.items()} | ({"whole": given.base} if given.base else {})
        figures = loss_and_replies(families, bases, given) if given.pairs else {}
        figures |= engine_speed(families, bases, given) if given.rounds else {}
    print("\n| | whole | pruned | ratio |\n|---|---:|---:|---:|")
    for name in sorted(name.removesuffix("_whole") for name in figures if name.endswith("_whole")):
        if f"{name}_pruned" in figures:
            whole, pruned = figures[f"{name}_whole"], figures[f"{name}_pruned"]
            figures[f"{name}_over_whole"] = round(pruned / whole, 4)
            print(f"| {name} | {whole:,} | {pruned:,} | {pruned / whole:.3f} |")
    finish_benchmark(figures, {name: bar for name, bar in BARS.items() if name in figures})


def variants_of(names: Names, base: str, dtype: Any) -> Any:
    """Base and the adapters that are published for it."""
    from huggingface_hub import HfApi

    from chat.variants import load_variants

    there = {
        kind: ModelRef(names.adapter(kind)) for kind in ADAPTERS_OF_A_FAMILY if HfApi().repo_exists(names.adapter(kind))
    }
    return load_variants(ModelRef(base), there, dtype=dtype)


def loss_and_replies(families: dict[str, Names], bases: dict[str, str], given: argparse.Namespace) -> dict[str, Any]:
    """Nats per byte of test pairs by variant, in float32, and greedy replies in common."""
    import torch

    from chat.generate import generate
    from chat.sampling import Sampling
    from hub.lineage import pin
    from training.base.pruned_base import nats_per_byte, prompt_replies
    from training.data.encode import published_pairs

    test = prompt_replies(published_pairs(pin(families["whole"].dialogue, "dataset"), given.pairs, 1, "test"))
    prompts = [prompt for prompt, _ in test[: given.replies]]
    figures: dict[str, Any] = {}
    replies = {}
    for side, names in families.items():
        variants = variants_of(names, bases[side], torch.float32)
        figures[f"parameters_{side}"] = sum(
            weights.numel() for name, weights in variants.model.named_parameters() if "lora_" not in name
        )
        for name in variants.names:
            loss = round(nats_per_byte(variants, name, test), 4)
            figures[f"nats_per_byte{'' if name == 'base' else f'_{name}'}_{side}"] = loss
            print(f"{side} {name}: {loss} nats per byte", flush=True)
            if prompts:
                said = generate(variants, prompts, [name] * len(prompts), Sampling(temperature=0, max_new_tokens=32))
                replies[side, name] = [reply.text for reply in said]
    for name in {name for _, name in replies}:
        both = zip(replies["whole", name], replies["pruned", name], strict=True)
        figures[f"same_greedy_replies_{name}"] = sum(one == other for one, other in both)
    return figures


def engine_speed(families: dict[str, Names], bases: dict[str, str], given: argparse.Namespace) -> dict[str, Any]:
    """Either engine in the default precision: bytes, first token, tokens a second of one and of all variants."""
    import torch

    from chat.engine.quantized import resolve_precision

    figures: dict[str, Any] = {}
    best: dict[str, float] = {}
    loaded = {
        side: run_in_own_thread(variants_of, names, bases[side], torch.bfloat16) for side, names in families.items()
    }
    precision = resolve_precision("auto", loaded["whole"].model.device)
    with never_ending():
        whole, pruned = (compiled_engine(loaded[side], precision, given.plain) for side in ("whole", "pruned"))
        with closing(whole), closing(pruned):
            for round_ in range(given.rounds + 1):
                for side, engine in (("whole", whole), ("pruned", pruned)):
                    names = list(engine.names)
                    before = time.process_time()
                    total, first = answer(engine, ["base"], given.tokens)
                    taken = {"one": total, "first_token_s": first, "cpu": time.process_time() - before}
                    if len(names) > 1:
                        taken["all"] = answer(engine, names, given.tokens)[0]
                    for what, seconds in taken.items() if round_ else ():  # the first round warms up
                        best[f"{what}_{side}"] = min(seconds, best.get(f"{what}_{side}", seconds))
            figures |= {"engine_bytes_whole": whole.decoder.bytes, "engine_bytes_pruned": pruned.decoder.bytes}
    for side in families:
        figures[f"first_token_s_{side}"] = round(best[f"first_token_s_{side}"], 4)
        figures[f"cpu_ms_per_token_{side}"] = round(1000 * best[f"cpu_{side}"] / given.tokens, 2)
        figures[f"tokens_per_second_{side}"] = round(given.tokens / best[f"one_{side}"], 1)
        if f"all_{side}" in best:
            figures[f"all_variants_tokens_per_second_{side}"] = round(given.tokens / best[f"all_{side}"], 1)
    return figures


if __name__ == "__main__":
    main()
