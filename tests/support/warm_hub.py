"""Commands of the Hub in processes forked from one that has imported them: a local Hub starts in a tenth of a second.

The child is a process of its own, with its own streams, session and exit status; it can be signalled and killed as one
that was started from a shell. The process that forks them has one thread and imports no torch (`tests.support.warm`
does); it ends with the one that started it.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMPORTED = ["hub.local.__main__", "hub.local.app", "hub.trace", "hub.verify", "uvicorn", "uvicorn.protocols.http.auto"]
IMPORTED += ["uvicorn.loops.auto", "uvicorn.lifespan.on", "huggingface_hub.cli.hf", "huggingface_hub.hf_api"]
LOCAL_HUB, HF, LINEAGE = "hub.local.__main__:main", "huggingface_hub.cli.hf:main", "hub.trace:main"
_forker: socket.socket | None = None


class Process:
    """A forked command. Its streams are files of ours; `stdin` held open tells an attached local Hub that we live."""

    def __init__(self, command: str, arguments: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        (stdin, mine), (self._out, stdout), (self._status, status) = os.pipe(), os.pipe(), os.pipe()
        self.stdin, self.stdout = os.fdopen(mine, "wb", 0), os.fdopen(self._out, "r")
        self._errors = tempfile.TemporaryFile(dir=folder) if folder != ROOT else None  # noqa: SIM115
        job = {"command": command, "arguments": arguments, "folder": str(folder), "environment": dict(environment)}
        given = [stdin, stdout, self._errors.fileno() if self._errors else 2, status]
        forker = _started()
        socket.send_fds(forker, [json.dumps(job).encode()], given)
        self.pid = int(forker.recv(100))
        self.returncode: int | None = None
        for file in (stdin, stdout, status):
            os.close(file)

    def send_signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def wait(self, timeout: float = 60) -> int:
        """Its exit status, as of subprocess: minus the signal that killed it."""
        if self.returncode is None:
            reader = threading.Thread(target=self._read, daemon=True)
            reader.start()
            reader.join(timeout)
            assert self.returncode is not None, f"still running after {timeout} s"
        return self.returncode

    def _read(self) -> None:
        with os.fdopen(self._status) as file:
            self.returncode = int(file.read())

    def errors(self) -> str:
        assert self._errors
        self._errors.seek(0)
        return self._errors.read().decode()

    def close(self) -> None:
        for file in (self.stdin, self.stdout, self._errors):
            if file:
                file.close()


def run(command: str, *arguments: object, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end in a folder of the test."""
    process = Process(command, [str(argument) for argument in arguments], folder, environment)
    process.stdin.close()
    output = process.stdout.read()
    status = process.wait()
    errors = process.errors()
    process.close()
    return subprocess.CompletedProcess([command, *arguments], status, output, errors)


@contextmanager
def serving(data: Path, *options: str) -> Iterator[tuple[Process, str]]:
    """A local Hub that the test may kill, and its address."""
    process = Process(LOCAL_HUB, ["serve", "--attached", "--port", "0", "--data", str(data), *options], ROOT, {})
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.close()


@contextmanager
def running(data: Path, run_spaces: bool = False) -> Iterator[str]:
    """As `hub.local.running`: the address of a local Hub, which ends in order at the end of the block."""
    with serving(data, *(["--run-spaces"] if run_spaces else [])) as (process, url):
        assert url
        try:
            yield url
        finally:
            process.terminate()
            process.wait()


def _started() -> socket.socket:
    global _forker
    if _forker is None:
        _forker, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "tests.support.warm_hub", str(theirs.fileno())]
        subprocess.Popen(command, pass_fds=[theirs.fileno()], cwd=ROOT, stdin=subprocess.DEVNULL)
        theirs.close()
    return _forker


def _fork_on_request(requests: socket.socket) -> None:
    """Forks a child for each request, and writes its exit status to the pipe that came with the request."""
    for module in IMPORTED:
        importlib.import_module(module)
    running: dict[int, int] = {}
    requests.settimeout(0.02)
    while True:
        with suppress(TimeoutError):
            content, given, *_ = socket.recv_fds(requests, 1 << 20, 4)
            if not content:
                return
            pid = os.fork()
            if pid == 0:
                requests.close()
                for file in (*running.values(), given[3]):
                    os.close(file)
                _become(json.loads(content), given[:3])
            running[pid] = given[3]
            for file in given[:3]:
                os.close(file)
            requests.send(str(pid).encode())
        while running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            os.write(running[pid], str(os.waitstatus_to_exitcode(status)).encode())
            os.close(running.pop(pid))


def _become(job: dict, streams: list[int]) -> None:
    """Runs the command of a job as the child's main program, and ends the process."""
    status = 1
    try:
        os.setsid()
        for number, file in enumerate(streams):
            os.dup2(file, number)
            os.close(file)
        sys.stdin = os.fdopen(0, "r", closefd=False)
        sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        os.chdir(job["folder"])
        os.environ.update(job["environment"])
        module, function = job["command"].split(":")
        sys.argv = [module, *job["arguments"]]
        getattr(importlib.import_module(module), function)()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            threading._shutdown()
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _fork_on_request(socket.socket(fileno=int(sys.argv[1])))
