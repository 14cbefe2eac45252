"""app.py in a process of its own, on the models of a namespace; `SLOWED` wraps it with a slow engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import app
from hub.local import free_port

ROOT = Path(app.__file__).parent


SLOWED = '''
"""app.py with a slow engine that says how each stream ended, so that streaming and stopping can be seen."""
import itertools, time
import app
from hub.local import free_port
from chat.engine.local import LocalEngine

stream, seeds = LocalEngine.stream, itertools.count(1)

def slowed(self, prompts, names, sampling, seed=None):
    self.every = 0
    answers = stream(self, prompts, names, sampling, seed=next(seeds) if seed is None else seed)
    print("asked", len(prompts), flush=True)
    try:
        for answer in answers:
            time.sleep(0.8 if all(row.done for row in answer) else 0.05)  # even a short answer can be stopped
            yield answer
        print("finished", flush=True)
    except GeneratorExit:
        print("stopped", flush=True)
        raise
    finally:
        answers.close()

LocalEngine.stream = slowed
app.main()
'''


@dataclass
class Space:
    url: str
    log: Path
    votes: str  # the dataset
    process: int

    def kept(self) -> list[dict]:
        """The votes on the server's disk."""
        from hub.votes.vote import whole_lines

        paths = self.log.parent.glob("votes/*/*.jsonl")
        return [json.loads(line) for path in paths for line in whole_lines(path.read_bytes()).splitlines()]

    def said(self, word: str) -> int:
        return self.log.read_text().split().count(word)

    def wait_for(self, word: str, count: int, seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        while self.said(word) < count:
            assert time.monotonic() < deadline, f"no {word!r} number {count} in:\n{self.log.read_text()}"
            time.sleep(0.05)


@contextmanager
def opened(family, folder, program=ROOT / "app.py", port=None, **settings):
    """app.py, or a program that wraps it, in a process until the block ends; its log and votes in a folder."""
    port, log = port or free_port(), folder / "log"
    environment = {
        "REPARTEE_VOTES_FOLDER": str(folder / "votes"), "REPARTEE_VOTES_EVERY": "6000", "PYTHONPATH": str(ROOT),
        "REPARTEE_SESSION_RATE": "100000", "REPARTEE_ADDRESS_RATE": "100000",
        "REPARTEE_PRECISION": "float32", **settings,
    }  # fmt: skip
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, str(program), "--namespace", family, "--port", str(port)],
            cwd=ROOT, env=os.environ | environment, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    served = Space(f"http://127.0.0.1:{port}/", log, f"{family}/repartee-votes", process.pid)
    try:
        deadline = time.monotonic() + 240
        while served.url not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield served
    finally:
        process.terminate()
        process.wait(timeout=60)
