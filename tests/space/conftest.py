"""A Space to visit: models on the local Hub, app.py in a process of its own with a slowed engine, and a browser."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import app
from hub.local import free_port

ROOT = Path(app.__file__).parent
BROWSER_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
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
            time.sleep(0.05)
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


@pytest.fixture(scope="session")
def family(hub_url, starter, adapters, tmp_path_factory):
    """A namespace with the starter and two random adapters on it, as the training would publish them."""
    from huggingface_hub import HfApi

    api, namespace = HfApi(), f"space-{secrets.token_hex(4)}"
    base = f"{namespace}/repartee-starter"
    api.create_repo(base)
    api.upload_folder(repo_id=base, folder_path=starter)
    for kind, trained in adapters.items():
        folder = shutil.copytree(trained, tmp_path_factory.mktemp(kind), dirs_exist_ok=True)
        config = json.loads((folder / "adapter_config.json").read_text())
        (folder / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": base}))
        api.create_repo(f"{namespace}/repartee-starter-{kind}")
        api.upload_folder(repo_id=f"{namespace}/repartee-starter-{kind}", folder_path=folder)
    from stage import publish_evaluation

    publish_evaluation(namespace, tmp_path_factory.mktemp("evaluation"))
    return namespace


@dataclass
class Space:
    url: str
    log: Path
    votes: str  # the dataset
    process: int

    def kept(self) -> list[dict]:
        """The votes on the server's disk."""
        from hub.votes.vote import rows_of

        return [row for path in self.log.parent.glob("votes/*/*.jsonl") for row in rows_of(path)]

    def said(self, word: str) -> int:
        return self.log.read_text().split().count(word)

    def wait_for(self, word: str, count: int, seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        while self.said(word) < count:
            assert time.monotonic() < deadline, f"no {word!r} number {count} in:\n{self.log.read_text()}"
            time.sleep(0.05)


@contextmanager
def opened(family, folder, program=ROOT / "app.py", **settings):
    """app.py, or a program that wraps it, in a process until the block ends; its log and votes in a folder."""
    port, log = free_port(), folder / "log"
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
        process.wait(timeout=20)


@pytest.fixture(scope="session")
def space(family, tmp_path_factory):
    """The real app.py in a process of its own; only its engine is slowed."""
    folder = tmp_path_factory.mktemp("space")
    (folder / "slowed.py").write_text(SLOWED)
    with opened(family, folder, folder / "slowed.py") as served:
        yield served
    if kept := served.kept():  # a Space that is told to end pushes what it still has
        from hub.votes.vote import votes

        assert sorted(row["comparison"] for row in votes(served.votes)) == sorted(row["comparison"] for row in kept)


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no chromium on this machine: `apt-get install chromium` to run the tests of the page")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=BROWSER_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def visit(browser):
    """`visit(url, **options)`: a new visitor on the page, whose every request must stay on it, whatever is typed."""

    @contextmanager
    def visitor(url, **options):
        context = browser.new_context(**options)
        asked: list[str] = []
        context.on("request", lambda request: asked.append(request.url))
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.goto(url)
        page.wait_for_selector("#chat-line textarea")
        yield page
        context.close()
        assert [address for address in asked if not address.startswith((url, "data:", "blob:"))] == []

    return visitor


@pytest.fixture
def page(visit, space):
    with visit(space.url) as page:
        yield page
