"""Benchmark of serving: `python -m benchmarks.serve --llama-python PYTHON` beside llama.cpp, on a CPU or a GPU.

PYTHON has llama-cpp-python and gguf (`python3 -m venv llama && llama/bin/pip install llama-cpp-python gguf`: minutes of
compiling); without it the figures that need it are not measured. On the starter, on random weights in the shape of
Qwen 2.5 0.5B and on SmolLM2-135M (llama.cpp reads the very GGUF file, Q4_1), two adapters of rank 16 each. An answer is
a prompt read and 64 tokens said, greedily and without an end; the engine is asked as the page asks it. Both sides take
turns on the same number of threads, and the best of the rounds counts for either, for other work on the machine only
ever adds.

- one_over_llamacpp, three_way_over_llamacpp: tokens a second over llama.cpp's in 4 bits; three ways are one batch of
  three variants here, and three answers one after another there.
- one_over_bound: over the tokens a second at which the weights, once each, could be read from memory.
- three_way_over_one: seconds of three ways over those of the base's one answer.
- memory_over_one: resident memory of a process that has answered three ways over one that knows the base alone.
- visitors8_over_1: eight answers asked for one after another over eight at once, in seconds.

But for the last, the first figures are the worst of the shapes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.harness import finish_benchmark
from benchmarks.serve_parts import (
    SERVED_SHAPES,
    Peer,
    cold_start,
    compiled_engine,
    excess_perplexity,
    held_out_pairs,
    make_models,
    read_speed,
)
from chat.engine.threads import run_in_own_thread
from chat.variants import PRECISIONS, VARIANTS, ModelRef
from hub.errors import one_line_errors

BARS: dict[str, tuple[str, float]] = {
    "one_over_llamacpp": (">=", 0.45),
    "three_way_over_llamacpp": (">=", 0.9),
    "three_way_over_one": ("<=", 1.7),
    "memory_over_one": ("<=", 1.15),
    "visitors8_over_1": (">=", 4),
    "visitors8_over_1_0.5b": (">=", 2.2),
    "excess_perplexity": ("<=", 0.03),
    "start_to_first_answer_s": ("<=", 15),
    "default_over_fastest": (">=", 0.95),
}
LINE = [{"role": "user", "content": "Where were you last night? I have been waiting for hours."}]


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama-python", type=Path, help="a Python with llama-cpp-python and gguf")
    parser.add_argument(
        "--shapes", nargs="+", choices=list(SERVED_SHAPES), default=list(SERVED_SHAPES), help="default: all"
    )
    parser.add_argument("--tokens", type=int, default=64, help="of an answer, at most 64 (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of either side (default: %(default)s)")
    parser.add_argument("--plain", action="store_true", help="do not compile the engine's steps, which takes minutes")
    parser.add_argument(
        "--precisions", nargs="+", choices=PRECISIONS, help="to try beside the default's (default: all of a CPU)"
    )
    parser.add_argument("--corpus", type=Path, default=Path("training/sample"), help="default: %(default)s")
    parser.add_argument("--pairs", type=int, default=300, help="for the perplexity (default: %(default)s)")
    given = parser.parse_args(argv)
    os.environ["OMP_NUM_THREADS"] = str(given.threads)  # read as torch is imported, here and in the other processes
    import torch
    import transformers

    print(
        f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}, "
        f"{given.threads} threads of {os.cpu_count()} cores; {given.tokens} tokens an answer, best of {given.rounds}"
    )
    figures: dict[str, Any] = {}
    with one_line_errors(), tempfile.TemporaryDirectory() as scratch:
        for shape in given.shapes:
            models = run_in_own_thread(make_models, shape, Path(scratch))
            figures |= {f"{name}_{shape}": value for name, value in measure(*models, given).items()}
        if "starter" in given.shapes:
            figures |= precision_loss(given)
    figures = summary(figures)
    print("\n| what | value |\n|---|---:|")
    for name, value in figures.items():
        print(f"| {name} | {value} |")
    bars = {name: bar for name, bar in BARS.items() if name in figures}
    finish_benchmark(figures, bars)


def summary(figures: dict[str, Any]) -> dict[str, Any]:
    """Figures with those that are held first, each the worse of the shapes."""
    firsts: dict[str, Any] = {}
    for name, worse in {
        "one_over_llamacpp": min, "one_over_bound": min, "three_way_over_llamacpp": min, "three_way_over_one": max,
        "memory_over_one": max, "first_token_s": max, "default_over_fastest": min,
    }.items():  # fmt: skip
        found = [figures[f"{name}_{shape}"] for shape in SERVED_SHAPES if f"{name}_{shape}" in figures]
        if found:
            firsts[name] = worse(found)
    moved = {f"{name}_starter": name for name in ("visitors8_over_1", "start_to_first_answer_s")}
    return firsts | {moved.get(name, name): value for name, value in figures.items()}


def measure(folder: Path, adapters: dict[str, ModelRef], peer_reads: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Figures of one shape by name; prints what was measured as it is."""
    import torch

    from chat.engine.quantized import resolve_precision
    from chat.variants import load_variants

    variants = run_in_own_thread(load_variants, ModelRef(str(folder)), adapters, dtype=torch.bfloat16)
    default = resolve_precision("auto", variants.model.device)
    tried = {default, *(given.precisions or PRECISIONS[1:])} if variants.model.device.type == "cpu" else {default}
    rates = {}
    for precision in sorted(tried):
        with never_ending(), closing(compiled_engine(variants, precision, given.plain)) as engine:
            few = min(16, given.tokens)
            answer(engine, ["base"], 2)
            rates[precision] = few / min(answer(engine, ["base"], few)[0] for _ in range(given.rounds))
    shown = ", ".join(f"{name} {rate:.1f}" for name, rate in rates.items())
    print(f"\n{folder.name}: tokens a second, answers of {few} tokens: {shown}; the default is {default}", flush=True)
    with never_ending(), closing(compiled_engine(variants, default, given.plain)) as engine:
        seconds, bandwidth = race(engine, peer_reads, variants, given), run_in_own_thread(read_speed)
        eight = visitors(engine, given)
        size = engine.decoder.bytes
    one = given.tokens / seconds["one"]
    resident = {kind: cold_start(folder, of, default, given.plain) for kind, of in (("one", {}), ("three", adapters))}
    print(
        f"{size / 1e6:,.0f} MB of weights and adapters, read at {bandwidth / 1e9:.1f} GB/s; seconds: {seconds}",
        flush=True,
    )
    figures = {
        "one_over_bound": one / (bandwidth / engine.decoder.read_bytes),
        "three_way_over_one": seconds["three_way"] / seconds["one"],
        "memory_over_one": resident["three"][1] / resident["one"][1],
        "visitors8_over_1": eight,
        "first_token_s": seconds["first"],
        "start_to_first_answer_s": resident["three"][0],
        "default_over_fastest": rates[default] / max(rates.values()),
        "tokens_per_second": one,
        "three_way_tokens_per_second": given.tokens / seconds["three_way"],
    }
    if "llama_one" in seconds:
        figures |= {
            "one_over_llamacpp": seconds["llama_one"] / seconds["one"],
            "three_way_over_llamacpp": seconds["llama_three"] / seconds["three_way"],
            "llamacpp_tokens_per_second": given.tokens / seconds["llama_one"],
        }
    return {name: round(value, 3) for name, value in figures.items()}


def never_ending() -> Any:
    """Patch under which answers run to their full length: no token stops them."""
    nothing = {"<|im_end|>": -1, "<|endoftext|>": -2}
    return mock.patch.multiple("chat.engine.local", stop_ids=lambda tokenizer: nothing, read_reply=read_on)


def read_on(tokenizer: Any, ids: list[int]) -> Any:
    """`chat.generate.read_reply` where nothing ends a reply."""
    from chat.generate import FinishReason, Reply

    return Reply(tokenizer.decode(ids, skip_special_tokens=True), FinishReason.LENGTH, len(ids))


def answer(engine: Any, names: list[str], tokens: int) -> tuple[float, float]:
    """Seconds to the end and to the first token of one request."""
    from chat.sampling import Sampling

    started, first = time.perf_counter(), 0.0
    for _ in engine.stream([LINE] * len(names), names, Sampling(temperature=0, max_new_tokens=tokens)):
        first = first or time.perf_counter() - started
    return time.perf_counter() - started, first


def race(engine: Any, peer_reads: Path, variants: Any, given: argparse.Namespace) -> dict[str, float]:
    """The best seconds of either side: one answer, its first token, three ways."""
    from chat.template import encode_prompt

    best: dict[str, float] = {}

    def take(name: str, seconds: float) -> None:
        best[name] = round(min(best.get(name, seconds), seconds), 4)

    question = json.dumps({"prompt": encode_prompt(variants.tokenizer, LINE), "tokens": given.tokens})
    peer = Peer(given.llama_python, peer_reads, given.threads) if given.llama_python else None
    answer(engine, list(VARIANTS), 2)
    for _ in range(given.rounds):
        total, first = answer(engine, ["base"], given.tokens)
        take("one", total)
        take("first", first)
        take("one_adapter", answer(engine, ["sft"], given.tokens)[0])
        take("three_way", answer(engine, list(VARIANTS), given.tokens)[0])
        if peer:
            answers = [peer.ask(question) for _ in range(3)]
            take("llama_one", min(one["seconds"] for one in answers))
            take("llama_first", min(one["first"] for one in answers))
            take("llama_three", sum(one["seconds"] for one in answers))
    if peer:
        peer.close()
    return best


def visitors(engine: Any, given: argparse.Namespace) -> float:
    """Eight visitors of all variants, one after another over all at once."""
    names = (VARIANTS * 3)[:8]
    alone, together = [], []
    for _ in range(given.rounds):
        alone.append(sum(answer(engine, [name], given.tokens)[0] for name in names))
        crowd = [threading.Thread(target=answer, args=(engine, [name], given.tokens)) for name in names]
        started = time.perf_counter()
        for visitor in crowd:
            visitor.start()
        for visitor in crowd:
            visitor.join()
        together.append(time.perf_counter() - started)
    return min(alone) / min(together)


def precision_loss(given: argparse.Namespace) -> dict[str, float]:
    """Excess perplexity of the starter in each precision, as a share; the default's is held."""
    import torch

    from chat.engine.quantized import resolve_precision
    from chat.variants import load_variants

    variants = load_variants(ModelRef("training/starter"), dtype=torch.float32)
    pairs = held_out_pairs(given.corpus, given.pairs)
    found = excess_perplexity(variants, pairs, ("bf16", "nf4", "int8", "int4"))
    default = found[resolve_precision("auto", variants.model.device)]
    return {"excess_perplexity": default, **{f"excess_perplexity_{name}": value for name, value in found.items()}}


if __name__ == "__main__":
    main()
