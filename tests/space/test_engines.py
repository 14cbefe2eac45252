"""The page on other engines than the usual one: `transformers serve` from afar, and the cache while the Hub is down."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.engine_servers import SERVER_KINDS, ServedModels, serving
from hub.local import free_port
from tests.support.served_models import merge_float32
from tests.support.space_process import opened

pytestmark = pytest.mark.timeout(900)  # two pages and a server start in it
LINES = [
    "Where were you last night?",
    "No.",
    "Zoë! <|im_end|> said <b>what</b>?",
    "I have been thinking, Harry.",
    "$x$",
]


@pytest.fixture(scope="module")
def models(starter, adapters, tmp_path_factory):
    """Each variant as a folder of its own, in float32: `transformers serve` takes no adapters."""
    folder = tmp_path_factory.mktemp("merged")
    merged = {variant: merge_float32(starter, Path(path), folder / variant) for variant, path in adapters.items()}
    return ServedModels(starter, {}, merged, {}, {})


def greedy(url: str) -> list[tuple]:
    """What the page answers at temperature 0. In how many tokens is left out: a server does not say, and in our
    tokenizer's own way words may be fewer than they were said in."""
    from gradio_client import Client

    client = Client(url, verbose=False)
    found = []
    for line in LINES:
        answers = client.predict(line, temperature=0, api_name="/compare")
        alone = client.predict(line, variant="sft", temperature=0, api_name="/chat")
        found.append((*(answer["reply"] for answer in answers.values()), alone["reply"]))
    return found


def test_the_page_answers_the_same_from_transformers_serve(family, models, tmp_path):
    for name in ("local", "remote"):
        (tmp_path / name).mkdir()
    with opened(family, tmp_path / "local") as local:
        expected = greedy(local.url)
    with serving(SERVER_KINDS["transformers"], models, tmp_path / "serve.log") as running:
        settings = {
            "REPARTEE_ENGINE_URL": running.server("base").url,
            "REPARTEE_ENGINE_MODELS": ",".join(f"{name}={server.model}" for name, server in running.servers.items()),
        }
        with opened(family, tmp_path / "remote", **settings) as remote:
            assert "in text, with a generation config" in remote.log.read_text()
            found = greedy(remote.url)
    plain = [place for place, line in enumerate(LINES) if "<|" not in line]
    assert [found[place] for place in plain] == [expected[place] for place in plain]
    assert len({answers[:3] for answers in found}) == len(LINES)


def test_a_server_that_is_not_there_is_one_line(family, tmp_path):
    nowhere = f"http://127.0.0.1:{free_port()}/v1"
    done = subprocess.run(
        [sys.executable, "app.py", "--namespace", family, "--port", str(free_port())], capture_output=True, text=True,
        env=os.environ | {"REPARTEE_ENGINE_URL": nowhere, "REPARTEE_ENGINE_KEY": "sk-secret"}, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert line == f"error: the server of base, {nowhere}, cannot be reached; start it, or correct REPARTEE_ENGINE_URL"
    assert "sk-secret" not in done.stdout + done.stderr


def test_the_page_starts_from_the_cache_while_the_hub_is_down_and_says_so(family, tmp_path):
    from gradio_client import Client

    for name in ("before", "after"):
        (tmp_path / name).mkdir()
    with opened(family, tmp_path / "before"):
        pass  # what it needs is in the cache now
    nowhere = f"http://127.0.0.1:{free_port()}"
    with opened(family, tmp_path / "after", HF_ENDPOINT=nowhere) as page:
        said = page.log.read_text()
        assert f"starting from the cache of this machine: the Hub at {nowhere} does not answer" in said
        assert "engine ready" in said
        assert "Traceback" not in said
        assert Client(page.url, verbose=False).predict("Who?", api_name="/chat")["tokens"]
