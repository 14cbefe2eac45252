"""Bulk sampling from real servers: a SIGKILL of ours, a restart of theirs, and every reply is there once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing

from chat.engine.openai_server import RemoteEngine
from chat.sampling import Sampling
from tests.support.scenes import user_prompts

CHUNK = 4
LINES = [f"Where were you on the night of the {day}th?" for day in range(4, 16)]
PROGRAM = """
import json, sys
from contextlib import closing
from pathlib import Path
from transformers import AutoTokenizer
from chat.engine.openai_formats import Server
from chat.engine.openai_server import RemoteEngine
from chat.resumable import generate_resumable
from chat.sampling import Sampling
from chat.template import configure_tokenizer

job = json.loads(sys.argv[1])
tokenizer = configure_tokenizer(AutoTokenizer.from_pretrained(job["base"]))
with closing(RemoteEngine({"sft": Server(*job["server"])}, tokenizer)) as engine:
    print("sampling", flush=True)
    names, sampling = ["sft"] * len(job["prompts"]), Sampling(temperature=0, max_new_tokens=16)
    generate_resumable(Path(job["path"]), engine, job["prompts"], names, sampling, 1, job["chunk"])
print("finished", flush=True)
"""


def sample(job, log):
    """A process of its own that samples into a file."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps(job)], stdout=output, stderr=output,
            env=os.environ | {"PYTHONPATH": os.getcwd()},
        )  # fmt: skip


def wait_for(reached, process, log, seconds=600):
    deadline = time.monotonic() + seconds
    while not reached():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


def test_a_kill_of_ours_and_a_restart_of_theirs_leave_every_reply_once(running, published, variants, tmp_path):
    path, log = tmp_path / "replies.jsonl", tmp_path / "log"
    server = running.server("sft")
    prompts = user_prompts(*LINES)
    job = {
        "base": str(published.models.base), "server": [server.url, server.model], "prompts": prompts,
        "path": str(path), "chunk": CHUNK,
    }  # fmt: skip

    def kept():
        return path.read_text().count("\n") if path.exists() else 0

    first = sample(job, log)
    wait_for(lambda: kept() >= CHUNK, first, log)
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = path.read_text().splitlines()[:CHUNK]
    assert kept() < len(prompts)
    running.kill()
    running.start()
    second = sample(job, log)
    wait_for(lambda: log.read_text().count("sampling") == 2, second, log)
    running.kill()  # in the middle of its work
    try:
        wait_for(lambda: "waiting up to" in log.read_text(), second, log)
    finally:
        running.start()
    assert second.wait(600) == 0, log.read_text()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) == len(prompts)
    assert path.read_text().splitlines()[:CHUNK] == before
    with closing(RemoteEngine({"sft": server}, variants.tokenizer)) as engine:
        unbroken = engine.replies(prompts, ["sft"] * len(prompts), Sampling(temperature=0, max_new_tokens=16), 1)
    same = sum(row["text"] == reply.text for row, reply in zip(rows, unbroken, strict=True))
    assert same >= len(rows) - 1  # a batch of another size may turn one near tie
    assert all(row["text"] for row in rows)
