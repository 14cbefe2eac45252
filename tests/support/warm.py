"""Commands in processes that are forked from one which has imported everything: seconds saved at each start.

For tests that start a command many times, or kill it: the child is a process of its own, with its own memory, threads
and files, as if it had been started from a shell; only its imports are done already.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

IMPORTED = ["torch", "transformers", "trl", "peft", "datasets", "pyarrow.parquet", "matplotlib.figure"]
_context: ForkServerContext | None = None


def context() -> ForkServerContext:
    """The fork server of this process; it takes the environment as it is when the first command starts."""
    global _context
    if _context is None:
        _context = multiprocessing.get_context("forkserver")
        _context.set_forkserver_preload([*IMPORTED, "tests.support.warm"])
    return _context


@dataclass
class Command:
    """A command that runs, or has run."""

    process: BaseProcess
    log: Path
    """What it printed, both streams."""

    @property
    def output(self) -> str:
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def wait(self, timeout: float = 280) -> int:
        """Its exit status. Raises AssertionError where it does not end in time."""
        self.process.join(timeout)
        assert self.process.exitcode is not None, f"still running after {timeout} s:\n{self.output[-2000:]}"
        return self.process.exitcode

    def kill_when(self, reached: Callable[[], bool], timeout: float = 280) -> None:
        """SIGKILL as soon as something is the case.

        Raises AssertionError where the command ends before, or where it does not come to it in time.
        """
        until = time.monotonic() + timeout
        while not reached():
            assert self.process.is_alive(), f"it ended before it was to be killed:\n{self.output[-2000:]}"
            assert time.monotonic() < until, f"it did not come to where it was to be killed:\n{self.output[-2000:]}"
            time.sleep(0.005)
        self.process.kill()
        self.process.join()
        assert self.process.exitcode == -9, self.output[-2000:]


def start(module: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> Command:
    """Starts `python -m module arguments` in a warm process.

    Args:
        log: file for what it prints; its folder is there.
        environment: what differs from this process's own environment.
    """
    given = dict(os.environ) | dict(environment or {})
    process = context().Process(target=_main, args=(module, list(arguments), str(log), given, os.getcwd()))
    process.start()
    return Command(process, log)


def run(module: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> Command:
    """`start`, and waits for the end."""
    command = start(module, arguments, log, environment)
    command.wait()
    return command


def _main(module: str, arguments: list[str], log: str, environment: dict[str, str], folder: str) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
