"""Benchmark of stalls: `python -m benchmarks.stalls`.

How long a visitor waits for a greedy answer of eight tokens on the starter where one process beside it computes without
a pause, and where none does; and for the first answer of an engine that has just been opened. Each in a fresh process,
for libgomp reads once whether threads that wait sleep (`chat/openmp.py`) or spin. The spinning ones are measured in the
same run, with the neighbour: fewer of them, for one answer may take seconds. What else the machine does is printed as
its load, and counts against the bound.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from benchmarks.harness import finish_benchmark, run_child
from benchmarks.serve import answer, never_ending
from benchmarks.serve_parts import compiled_engine, make_models
from chat.engine.threads import run_in_own_thread
from chat.openmp import SLEEPING
from chat.variants import ModelRef
from hub.errors import one_line_errors

BARS: dict[str, tuple[str, float]] = {"neighbour_p95_s": ("<=", 0.5), "first_answer_s": ("<=", 2)}
SPINNING = {"OMP_WAIT_POLICY": "ACTIVE", "GOMP_SPINCOUNT": "infinity"}
TOKENS = 8
CHILD = "import sys; from benchmarks.stalls import print_seconds; print_seconds(*sys.argv[1:])"


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=100, help="of each kind (default: %(default)s)")
    parser.add_argument("--spinning", type=int, default=20, help="answers of spinning threads (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the engine (default: %(default)s)")
    parser.add_argument("--plain", action="store_true", help="do not compile the engine's steps, which takes minutes")
    given = parser.parse_args(argv)
    print(f"Python {platform.python_version()}, {given.threads} threads of {os.cpu_count()} cores, ", end="")
    print(f"load {os.getloadavg()[0]:.1f} before; {TOKENS} tokens an answer", flush=True)
    with one_line_errors(), tempfile.TemporaryDirectory() as scratch:
        folder, adapters, _ = run_in_own_thread(make_models, "starter", Path(scratch))
        places = [str(int(given.plain)), str(folder), *(ref.repo for ref in adapters.values())]

        def measured(name: str, how: dict[str, str], answers: int) -> list[float]:
            environment = os.environ | how | {"OMP_NUM_THREADS": str(given.threads)}
            command = [sys.executable, "-W", "ignore", "-c", CHILD, str(answers), *places]
            return [float(word) for word in json.loads(run_child(command, name, environment).splitlines()[-1])]

        first, *alone = measured("an engine alone", SLEEPING, given.answers)
        with busy_neighbour():
            neighbour = measured("an engine with a neighbour", SLEEPING, given.answers)[1:]
            spinning = measured("an engine whose threads spin", SPINNING, given.spinning)[1:]
    figures = {"first_answer_s": round(first, 3)}
    print("\n| answers | median | 95% | longest |\n|---|---:|---:|---:|")
    for name, seconds in (("alone", alone), ("neighbour", neighbour), ("spinning_neighbour", spinning)):
        half, most, longest = (round(quantile(seconds, share), 3) for share in (0.5, 0.95, 1))
        print(f"| {name.replace('_', ', ')} | {half} | {most} | {longest} |")
        figures |= {f"{name}_median_s": half, f"{name}_p95_s": most, f"{name}_max_s": longest}
    finish_benchmark(figures, BARS)


def quantile(values: Sequence[float], share: float) -> float:
    """Quantile of values: the least that a share of them does not exceed."""
    return float(np.quantile(values, share, method="inverted_cdf"))


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """One process that computes without a pause."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


def print_seconds(answers: str, plain: str, base: str, sft: str, dpo: str) -> None:
    """In a process of its own: prints the seconds of the first answer of an engine, and of so many after it."""
    import torch

    from chat.engine.quantized import resolve_precision
    from chat.variants import load_variants

    adapters = {"sft": ModelRef(sft), "dpo": ModelRef(dpo)}
    variants = run_in_own_thread(load_variants, ModelRef(base), adapters, dtype=torch.bfloat16)
    precision = resolve_precision("auto", variants.model.device)
    with never_ending(), closing(compiled_engine(variants, precision, plain == "1")) as engine:
        print(json.dumps([answer(engine, ["dpo"], TOKENS)[0] for _ in range(1 + int(answers))]), flush=True)


if __name__ == "__main__":
    main()
