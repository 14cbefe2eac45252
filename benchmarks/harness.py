"""Harness of the benchmarks: a stopwatch, child processes that show why they failed, and the last line of JSON."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hub.errors import UserError

Bars = Mapping[str, tuple[str, float]]
"""By figure, the bound that it is held to: `<=` or `>=`, and a number."""


def peak_memory(process: int | str = "self") -> float:
    """Peak resident memory in bytes of a process by its id, this one by default (Linux).

    getrusage would count the parent's before exec.
    """
    return 1e3 * int(Path(f"/proc/{process}/status").read_text().split("VmHWM:")[1].split()[0])


def timed(work: Callable[[], Any]) -> float:
    """Wall-clock seconds of a call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def run_child(command: Sequence[str], what: str, environment: Mapping[str, str] | None = None) -> str:
    """Standard output of a child process; its stderr is shown where it fails.

    Args:
        command: the process and its arguments.
        what: what it does, for the error.
        environment: its whole environment; this process's where not given.

    Raises:
        UserError: it ended with a status other than 0, or by a signal; names it, with the end of its stderr.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        print(done.stderr, file=sys.stderr, flush=True)
        last = " ".join((done.stderr.strip().splitlines() or ["nothing on stderr"])[-3:])
        raise UserError(f"{what} ended with status {done.returncode}: {last}")
    return done.stdout


def meets(figures: Mapping[str, Any], bars: Bars) -> bool:
    """Whether every bound is kept."""
    return all(
        figures[name] <= bound if sign == "<=" else figures[name] >= bound for name, (sign, bound) in bars.items()
    )


def finish_benchmark(figures: Mapping[str, Any], bars: Bars) -> None:
    """Prints figures and bounds as one line of JSON, and ends the process: status 1 where a bound is missed."""
    held = meets(figures, bars)
    print(json.dumps({**figures, "bars": dict(bars), "held": held}), flush=True)
    raise SystemExit(0 if held else 1)
