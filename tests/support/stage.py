"""The page without a model: an engine that says back what it is told, in this process, at once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from chat.generate import Partial
from chat.variants import VARIANTS, ModelRef
from hub.local import free_port
from hub.names import Names
from hub.results_table import ROWS, table
from space.ballots import Ballots
from space.chat_handlers import ChatHandlers
from space.compare_handlers import CompareHandlers
from space.page import build_page, launch
from space.results import ModelFacts, PublishedResults, panels_of

MEASURED = {"value": 48.7, "low": 45.0, "high": 53.0}
RATE = {"value": 0.588, "low": 0.557, "high": 0.616, "p_value": 0.001, "clusters": 60}
PREFERRED = {"rate": RATE, "ties": 0.415}
EVALUATION = {
    "prompts": 600, "candidates": 20, "judge": "PMI under the base model", "preferred": {"dpo over sft": PREFERRED},
    "voices": {variant: dict.fromkeys(ROWS, MEASURED) for variant in ("base", "sft", "dpo")},
}  # fmt: skip
REVISIONS = {"base": "a" * 40, "sft": "b" * 40, "dpo": "c" * 40}
MODELS = {variant: ModelRef(f"me/{variant}", revision) for variant, revision in REVISIONS.items()}


class Echo:
    """Says the visitor's line back, each variant with something of its own before it; waits while `open` is not set."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.asked: list[list[dict[str, str]]] = []

    def stream(self, prompts, names, sampling, seed=None):
        self.asked += prompts
        self.open.wait(60)
        said = ["ab"[: ["base", "dpo"].index(name)] if name != "sft" else "sft " for name in names]
        texts = [before + prompt[-1]["content"] for before, prompt in zip(said, prompts, strict=True)]
        yield [Partial(text, True, "<|im_end|>", 3) for text in texts]

    def wait_for(self, asked: int, seconds: float = 10) -> None:
        """Until so many prompts have been asked."""
        deadline = time.monotonic() + seconds
        while len(self.asked) < asked:
            assert time.monotonic() < deadline, f"{len(self.asked)} prompts of {asked}"
            time.sleep(0.02)


@dataclass
class Stage:
    url: str
    engine: Echo
    kept: list
    ballots: Ballots

    def client(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, timeout=60, trust_env=False)

    def index(self, name: str) -> int:
        """Of a handler, as raw HTTP names it."""
        with self.client() as client:
            found = client.get("config").json()["dependencies"]
        return next(one["id"] for one in found if one["api_name"] == name)


@contextmanager
def playing(
    session_rate: float = 1e6,
    address_rate: float = 1e6,
    proxies: str = "",
    mcp: bool = False,
    root_path: str = "",
    variants: tuple[str, ...] = VARIANTS,
) -> Iterator[Stage]:
    os.environ["FORWARDED_ALLOW_IPS"] = proxies
    engine, kept, dropped = Echo(), [], []
    ballots = Ballots(REVISIONS, kept.append, dropped.append)
    page = build_page(
        ChatHandlers(engine, 1, variants),
        CompareHandlers(engine, 1, ballots, variants),
        ModelFacts({variant: MODELS[variant] for variant in variants}, dict.fromkeys(variants, "apache-2.0")),
        Names("me", "starter"),
        PublishedResults(
            table(EVALUATION) + "\n\nFrom [me/evaluation](http://192.0.2.1/me/evaluation).", panels_of(EVALUATION)
        ),
    )
    try:
        address = launch(page, "127.0.0.1", free_port(), session_rate, address_rate, mcp, root_path)
        yield Stage(address, engine, kept, ballots)
    finally:
        engine.open.set()
        page.close()
        os.environ.pop("FORWARDED_ALLOW_IPS", None)


def ask(client: httpx2.Client, index: int, data: list, session: str) -> list[dict]:
    """Runs a queued handler by raw HTTP; returns every message of its stream."""
    joined = client.post("gradio_api/queue/join", json={"fn_index": index, "data": data, "session_hash": session})
    assert joined.status_code == 200, joined.text
    said = []
    with client.stream("GET", "gradio_api/queue/data", params={"session_hash": session}) as lines:
        for line in lines.iter_lines():
            if line.startswith("data:"):
                said.append(json.loads(line[5:]))
                if said[-1]["msg"] == "process_completed":
                    return said
    return said


def publish_evaluation(namespace: str, folder: Path) -> None:
    """An evaluation set as `eval.evaluation` leaves it, of commits that are not those on the Hub."""
    from eval.plots import metrics_figure
    from hub.lineage import Input, Lineage
    from hub.publish import publish

    lineage = Lineage("evaluation", {}, (Input(f"{namespace}/repartee-starter", "model", "a" * 40, "b"),), EVALUATION)
    files = {"metrics.png": metrics_figure(EVALUATION, folder / "metrics.png")}
    publish(f"{namespace}/repartee-starter-evaluation", "dataset", files, lineage, "Evaluation")


def npm(package: str, file: str) -> Path:
    """A file of an npm package, which is installed once into a cache."""
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("npm is not installed (apt-get install npm)")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / "repartee" / package.replace("/", "-")
    if not (folder / "node_modules" / file).exists():
        folder.mkdir(parents=True, exist_ok=True)
        install = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder), package]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"npm cannot install {package}: {done.stderr.strip()[-200:]}")
    return folder / "node_modules" / file
