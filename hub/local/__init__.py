"""A Hub on this machine: the protocol of the real one, on git objects, for unmodified clients.

`python -m hub.local serve` keeps one open; `python -m hub.local run -- COMMAND` runs a command against one.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DATA = Path(".repartee/hub")


def token_of(data: Path) -> str:
    """The token that writes to this Hub need: made once, readable by the owner alone."""
    path = data / "token"
    if not path.exists():
        data.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(f"hf_local{secrets.token_hex(16)}")
    return path.read_text()


def client_environment(url: str, data: Path) -> dict[str, str]:
    """What a client must have in its environment before it imports huggingface_hub."""
    return {
        "HF_ENDPOINT": url,
        "HF_HUB_DISABLE_XET": "1",  # a server cannot ask for plain LFS where hf_xet is installed
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_TOKEN": os.environ.get("HF_TOKEN") or token_of(data),
        "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1,localhost"])),
    }


@contextmanager
def running(data: Path, port: int = 0) -> Iterator[str]:
    """Runs a server in a process of its own; yields its address and stops it at the end.

    Raises:
        RuntimeError: it did not start; its own line on stderr says why.
    """
    port = port or free_port()
    command = [sys.executable, "-m", "hub.local", "serve", "--data", str(data), "--port", str(port), "--quiet"]
    process = subprocess.Popen(command, start_new_session=True)  # Ctrl-C stops the client first, then this
    try:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def wait_for(port: int, process: subprocess.Popen, seconds: float = 60) -> None:
    """Waits until the server answers on its port."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    process.kill()
    raise RuntimeError(f"the local Hub did not start on port {port}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
