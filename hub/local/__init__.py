"""Local Hub: the Hugging Face Hub's HTTP protocol on this machine, on git objects, for unmodified clients.

`python -m hub.local serve` keeps one open; `python -m hub.local run -- COMMAND` runs a command against one.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from hub.local.tokens import token_of
from hub.proxies import direct_environment

DATA = Path(".repartee/hub")
_ROOT = Path(__file__).parents[2]


class NotStarted(RuntimeError):
    """The server gave up; its own line on stderr says why."""


def client_environment(url: str, data: Path) -> dict[str, str]:
    """What a client must have in its environment before it imports huggingface_hub."""
    return {
        "HF_ENDPOINT": url,
        "HF_HUB_DISABLE_XET": "1",  # a server cannot ask for plain LFS where hf_xet is installed
        "HF_HUB_DISABLE_TELEMETRY": "1",
        **dict.fromkeys(("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"), "0"),
        "HF_TOKEN": os.environ.get("HF_TOKEN", "").strip() or token_of(data),
        **direct_environment(urlsplit(url).hostname or ""),
    }


@contextmanager
def running(data: Path, port: int = 0, run_spaces: bool = False) -> Iterator[str]:
    """Runs a server in a process of its own; yields its address and stops it at the end, or when this process dies.

    With `run_spaces`, it runs the app of every Space on this machine (see hub/local/runner.py).

    Raises:
        NotStarted: the port is taken, or another server has the data folder.
    """
    command = [sys.executable, "-m", "hub.local", "serve", "--data", str(data), "--port", str(port), "--attached"]
    command += ["--run-spaces"] if run_spaces else []
    paths = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    server = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,  # held open: its end tells the server that we are gone
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
        start_new_session=True,  # Ctrl-C stops the client first, then this
    )
    with server:
        try:
            assert server.stdout
            url = server.stdout.readline().strip()
            if not url:
                raise NotStarted(f"the local Hub did not start on {data}, port {port}")
            yield url
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
