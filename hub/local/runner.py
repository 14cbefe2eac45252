"""Space runner: Spaces on this machine, each `python app.py` in a process of its own, from a copy of the commit.

What is not done here and is on the real Hub: nothing is installed (a Space has the packages of this Python), nothing is
isolated (it runs as this user), and no hardware changes. So a server runs Spaces with --run-spaces alone.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from hub.local import free_port

INHERITED_VARIABLES = ("PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "OMP_NUM_THREADS", "NO_PROXY", "no_proxy")
"""All that a Space gets of the server's own environment: whatever else is there may be a secret."""
MAX_LOG_LINES = 5_000  # of a log that are kept, in memory
ACTIVE = ("BUILDING", "APP_STARTING", "RUNNING")


@dataclass(frozen=True)
class SpaceSpec:
    """What to run: `unpack` writes the commit's files into a folder; `secrets` never show in the log."""

    name: str
    sha: str
    app_file: str
    unpack: Callable[[Path], int]
    environment: dict[str, str]
    secrets: tuple[str, ...]


@dataclass
class Log:
    """The last lines of a log, numbered from the first one ever written."""

    lines: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=MAX_LOG_LINES))
    written: int = 0

    def add(self, line: str) -> None:
        """Appends a line, with the time (UTC)."""
        self.lines.append((datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"), line))
        self.written += 1

    def after(self, seen: int) -> tuple[list[tuple[str, str]], int]:
        """Lines (time, text) that come after the first `seen`, and how many there are by now."""
        written, kept = self.written, list(self.lines)
        return kept[max(len(kept) - (written - seen), 0) :], written


class Run:
    """One start of a Space, from BUILDING to its end."""

    def __init__(self, spec: SpaceSpec, folder: Path, before: Run | None) -> None:
        self.spec, self.port = spec, free_port()
        self.build_log, self.log = Log(), Log()
        self.error: str | None = None
        self._stage, self._stopping = "BUILDING", threading.Event()
        self._folder, self._before = folder, before
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    @property
    def host(self) -> str:
        """The address of the app."""
        return f"http://127.0.0.1:{self.port}"

    def stage(self) -> str:
        """The stage now; RUNNING from the moment that the app has answered once."""
        if self._stage == "APP_STARTING" and self._answers():
            self._stage = "RUNNING"
        return self._stage

    def stop(self) -> None:
        """Ends the app and what it has started, and waits for that."""
        self._stopping.set()
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process:
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, number)
            self._thread.join(5)

    def _answers(self) -> bool:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)) as client:
            try:
                client.request("GET", "/")
                return client.getresponse().status < 500
            except (OSError, http.client.HTTPException):
                return False

    def _live(self) -> None:
        if self._before:
            self._before.stop()
            self._before = None
        try:
            self._build()
            if not self._stopping.is_set():
                self._run()
        except OSError as error:
            self._stage, self.error = "BUILD_ERROR", str(error)
            self.build_log.add(self.error)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _build(self) -> None:
        self.build_log.add(f"===== Build of {self.spec.name} at {self.spec.sha} =====")
        count = self.spec.unpack(self._folder / "app")
        (self._folder / "home").mkdir()
        self.build_log.add(f"{count} files; no packages are installed: the Space has those of {sys.executable}")

    def _run(self) -> None:
        base = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
        ports = {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(self.port), "PORT": str(self.port)}
        own = {"HOME": str(self._folder / "home"), "PYTHONUNBUFFERED": "1", "SPACE_HOST": f"127.0.0.1:{self.port}"}
        # setpriv: the app dies with this thread, and so with a server that is killed
        dying = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        self.log.add(f"===== Application Startup at {datetime.now(UTC):%Y-%m-%d %H:%M:%S} =====")
        with subprocess.Popen(
            [*dying, sys.executable, self.spec.app_file],
            cwd=self._folder / "app",
            env=base | self.spec.environment | ports | own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as self._process:
            self._stage = "APP_STARTING"
            if self._stopping.is_set():  # stopped between the build and here
                os.killpg(self._process.pid, signal.SIGKILL)
            assert self._process.stdout
            for line in self._process.stdout:
                for secret in self.spec.secrets:
                    line = line.replace(secret, "***")
                self.log.add(line.rstrip("\n"))
            code = self._process.wait()
        self._stage = "STOPPED" if self._stopping.is_set() else "RUNTIME_ERROR"
        self.error = None if self._stopping.is_set() else f"{self.spec.app_file} ended with exit code {code}"


class Runner:
    """The runs of all Spaces of one server, the newest of each; `root` is a folder for their files while they run."""

    def __init__(self, root: Path) -> None:
        shutil.rmtree(root, ignore_errors=True)  # what a killed server has left
        root.mkdir(parents=True, mode=0o700)
        self._root = root
        self._runs: dict[str, Run] = {}
        self._lock = threading.Lock()

    def start(self, spec: SpaceSpec) -> None:
        """Starts a Space anew; the run before it ends first. Returns at once, in stage BUILDING."""
        with self._lock:
            folder = Path(tempfile.mkdtemp(dir=self._root))
            self._runs[spec.name] = Run(spec, folder, self._runs.get(spec.name))

    def stop(self, name: str) -> None:
        """Ends the run of a Space, where there is one."""
        with self._lock:
            run = self._runs.pop(name, None)
        if run:
            run.stop()

    def run(self, name: str) -> Run | None:
        """The newest run of a Space, or None."""
        return self._runs.get(name)

    def close(self) -> None:
        """Ends every run and deletes their files."""
        for name in list(self._runs):
            self.stop(name)
        shutil.rmtree(self._root, ignore_errors=True)
