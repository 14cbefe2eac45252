"""The Space's command: the one line that it gives up with."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import app
from hub.local import free_port


def refusal(*arguments: str, **environment: str) -> str:
    """Run app.py, which must give up: with status 1, and one line on stderr, which is returned."""
    done = subprocess.run(
        [sys.executable, "app.py", *arguments],
        cwd=Path(app.__file__).parent, env=os.environ | environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def test_start_errors_are_one_clear_line(hub_url):
    assert "REPARTEE_SIZE" in refusal("--namespace", "me", "--size", "a b")
    missing = refusal("--namespace", "nobody-here", "--port", str(free_port()))
    assert "nobody-here/repartee-starter-sft" in missing
    nowhere = f"http://127.0.0.1:{free_port()}"
    assert nowhere in refusal("--namespace", "me", "--port", str(free_port()), HF_ENDPOINT=nowhere)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert "--port" in refusal("--namespace", "me", "--port", str(other.getsockname()[1]))
