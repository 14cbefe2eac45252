"""Serving, beside engines that people would pick instead: `python -m benchmarks.serve --llama-python PYTHON`.

The peers, each measured where it is set up: llama.cpp's library (PYTHON has llama-cpp-python and gguf: `python3 -m venv
llama && llama/bin/pip install llama-cpp-python gguf`, minutes of compiling), and two servers that `make engines` sets
up: vLLM on a CPU in bf16, llama.cpp's in Q4_0 and Q8_0, both with the adapters as LoRA. On the starter, on random
weights in the shape of Qwen 2.5 0.5B and on SmolLM2-135M (llama.cpp's library reads the very GGUF file, Q4_1), two
adapters of rank 16 each. An answer is a prompt read and 64 tokens said, greedily and without end; the engine is asked
as the page asks it. Both sides take turns on the same number of threads, and the best of the rounds counts for either.

- one_over_llamacpp, three_way_over_llamacpp: tokens a second over the library's in 4 bits; three ways are one batch of
  three variants here, and three answers one after another there.
- one_over_, three_way_over_, visitors8_over_ vllm and llama_server: tokens a second over the best setting of it, of one
  answer, of three at once (base, sft, dpo) and of eight at once; first8_over_: the last first token of the eight over
  the server's; start_s_: seconds from its start until each variant has answered.
- one_over_bound: over the tokens a second at which the weights, once each, could be read from memory.
- three_way_over_one: seconds of three ways over those of the base's one answer.
- memory_over_one: resident memory of a process that has answered three ways over one that knows the base alone.

Figures without a shape are the worst of the shapes.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

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
from benchmarks.serve_race import CROWDS, LINE, answer, never_ending, race_library, race_server
from benchmarks.server_peers import SERVERS, ServerPeer, installed_peers
from chat.engine.threads import run_in_own_thread
from chat.variants import PRECISIONS, ModelRef
from hub.errors import one_line_errors

BARS: dict[str, tuple[str, float]] = {
    "one_over_llamacpp": (">=", 0.8),
    "three_way_over_llamacpp_starter": (">=", 1.3),
    "three_way_over_llamacpp_0.5b": (">=", 1.9),
    **{
        f"{what}_over_vllm_{shape}": (">=", 3.0) for what in ("three_way", "visitors8") for shape in ("0.5b", "smollm2")
    },
    "visitors8_over_llama_server": (">=", 1.5),
    "three_way_over_one": ("<=", 1.7),
    "memory_over_one": ("<=", 1.15),
    "excess_perplexity": ("<=", 0.03),
    "start_to_first_answer_s": ("<=", 15),
    "default_over_fastest": (">=", 0.95),
}
WORST: dict[str, Callable[[list[float]], float]] = {
    **dict.fromkeys(("one_over_llamacpp", "one_over_bound", "three_way_over_llamacpp", "default_over_fastest"), min),
    **dict.fromkeys(("three_way_over_one", "memory_over_one", "first_token_s"), max),
    **{f"{what}_over_{server}": min for what in CROWDS for server in ("vllm", "llama_server")},
}
"""Figures that are held as the worst of the shapes."""


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama-python", type=Path, help="a Python with llama-cpp-python and gguf")
    parser.add_argument(
        "--shapes", nargs="+", choices=list(SERVED_SHAPES), default=list(SERVED_SHAPES), help="default: all"
    )
    parser.add_argument(
        "--servers", nargs="*", choices=SERVERS, default=SERVERS, help="peers, where they are set up (default: all)"
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
            figures |= {f"{name}_{shape}": value for name, value in measure(*models, Path(scratch), given).items()}
        if "starter" in given.shapes:
            figures |= precision_loss(given)
    figures = summary(figures)
    print("\n| what | value |\n|---|---:|")
    for name, value in figures.items():
        print(f"| {name} | {value} |")
    bars = {name: bar for name, bar in BARS.items() if name in figures}
    finish_benchmark(figures, bars)


def summary(figures: dict[str, Any]) -> dict[str, Any]:
    """Figures with those that are held first, each the worst of the shapes."""
    firsts: dict[str, Any] = {}
    for name, worst in WORST.items():
        found = [figures[f"{name}_{shape}"] for shape in SERVED_SHAPES if f"{name}_{shape}" in figures]
        if found:
            firsts[name] = worst(found)
    moved = {"start_to_first_answer_s_starter": "start_to_first_answer_s"}
    return firsts | {moved.get(name, name): value for name, value in figures.items()}


def measure(
    folder: Path, adapters: dict[str, ModelRef], peer_reads: Path, scratch: Path, given: argparse.Namespace
) -> dict[str, Any]:
    """Figures of one shape by name; prints what was measured as it is."""
    import torch

    from chat.engine.quantized import resolve_precision
    from chat.template import encode_prompt
    from chat.variants import load_variants

    variants = run_in_own_thread(load_variants, ModelRef(str(folder)), adapters, dtype=torch.bfloat16)
    default = resolve_precision("auto", variants.model.device)
    tried = {default, *(given.precisions or PRECISIONS[1:])} if variants.model.device.type == "cpu" else {default}
    rates = {}
    for precision in sorted(tried):
        with never_ending(), closing(compiled_engine(variants, precision, given.plain)) as engine:
            few = min(16, given.tokens)
            answer(engine, ["base"], 2)
            rates[precision] = few / min(answer(engine, ["base"], few).seconds for _ in range(given.rounds))
    shown = ", ".join(f"{name} {rate:.1f}" for name, rate in rates.items())
    print(f"\n{folder.name}: tokens a second, answers of {few} tokens: {shown}; the default is {default}", flush=True)
    with never_ending(), closing(compiled_engine(variants, default, given.plain)) as engine:
        prompt = encode_prompt(variants.tokenizer, LINE)
        with library(peer_reads, given) as peer:
            seconds = race_library(engine, prompt, peer, given)
        bandwidth, size = run_in_own_thread(read_speed), engine.decoder.bytes
        peers = installed_peers(folder, adapters, scratch, given.servers, given.threads)
        servers = race_servers(engine, peers, prompt, scratch, given)
    one = given.tokens / seconds["one"]
    resident = {kind: cold_start(folder, of, default, given.plain) for kind, of in (("one", {}), ("three", adapters))}
    print(
        f"{size / 1e6:,.0f} MB of weights and adapters, read at {bandwidth / 1e9:.1f} GB/s; seconds: {seconds}",
        flush=True,
    )
    figures = {
        **servers,
        "one_over_bound": one / (bandwidth / engine.decoder.read_bytes),
        "three_way_over_one": seconds["three_way"] / seconds["one"],
        "memory_over_one": resident["three"][1] / resident["one"][1],
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


@contextmanager
def library(peer_reads: Path, given: argparse.Namespace) -> Iterator[Peer | None]:
    """llama.cpp's library in its process, where --llama-python has it."""
    if not given.llama_python:
        yield None
        return
    with closing(Peer(given.llama_python, peer_reads, given.threads)) as peer:
        yield peer


def race_servers(
    engine: Any, peers: list[ServerPeer], prompt: list[int], scratch: Path, given: argparse.Namespace
) -> dict[str, float]:
    """Figures over each server, and where it has several settings over the best of them."""
    figures: dict[str, float] = {}
    for peer in peers:
        server = peer.kind.name.replace("-", "_")
        for name, value in race_server(engine, peer, prompt, scratch, given).items():
            worse = max if name == "first8_over_" else min
            figures[name + server] = worse(figures.get(name + server, value), value)
    return figures


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
