"""Every test runs against one local Hub, over real HTTP. huggingface_hub reads its address at import: set it first."""

import asyncio
import json
import os
import shutil
import tempfile
import threading
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hub.local import client_environment, free_port, running

_FOLDER = Path(tempfile.mkdtemp(prefix="repartee-tests-"))
_PORT = free_port()
BROWSER_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
LANES = {
    "localhub": {"hub_url", "hub_data", "namespace"},
    "browser": {"browser", "visit", "page"},
}
"""A test is of a lane where it uses one of these fixtures."""
LONGEST = [
    "test_chain", "test_compiled", "test_full_run", "test_engines", "deploy/test_space", "test_runs",
    "test_serve_benchmark", "test_request_guard", "test_train_benchmark", "test_safety", "test_load", "test_sweep",
]  # fmt: skip
"""Files that take longest, and so are begun first: no worker is left alone with one of them at the end."""
os.environ.pop("HF_TOKEN", None)
os.environ.update(client_environment(f"http://127.0.0.1:{_PORT}", _FOLDER / "hub"))
os.environ.update(
    HF_HOME=str(_FOLDER / "home"),
    HF_HUB_DISABLE_PROGRESS_BARS="1",
    REPARTEE_COMPILED="0",  # minutes of compiling: `tests/chat/test_compiled.py` has them
    OMP_NUM_THREADS=os.environ.get("OMP_NUM_THREADS", "2"),
    OMP_WAIT_POLICY="PASSIVE",  # another test, or another worker, may be computing too
    GOMP_SPINCOUNT="0",
    TOKENIZERS_PARALLELISM="false",
    TQDM_DISABLE="1",
)


def pytest_collection_modifyitems(items):
    def rank(item):
        path = item.path.with_suffix("").as_posix()
        return next((place for place, name in enumerate(LONGEST) if path.endswith(f"/{name}")), len(LONGEST))

    items.sort(key=rank)
    for item in items:
        for lane, fixtures in LANES.items():
            if fixtures & set(item.fixturenames):
                item.add_marker(lane)


def pytest_unconfigure():
    shutil.rmtree(_FOLDER, ignore_errors=True)


@pytest.fixture(scope="session")
def hub_url():
    """The address of the local Hub, which starts when the first test asks for it and dies with this process."""
    with running(_FOLDER / "hub", _PORT) as url:
        yield url


@pytest.fixture(scope="session")
def hub_data(hub_url):
    """The folder that the local Hub keeps everything in."""
    return _FOLDER / "hub"


@pytest.fixture
def namespace(hub_url):
    """A namespace that nobody else writes to."""
    return f"ns-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def starter():
    """The folder of the starter base model."""
    return Path(__file__).parent.parent / "training" / "starter"


@pytest.fixture(scope="session")
def tiny_base(starter, tmp_path_factory):
    """Folder of a random Qwen 2 of two layers and width 64, which can be published as the starter can; for
    tests in which the starter itself is not the point."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path_factory.mktemp("tiny") / "base"
    config = json.loads((starter / "config.json").read_text())
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 2, "num_key_value_heads": 1}
    config |= {**sizes, "num_hidden_layers": 2, "layer_types": ["full_attention"] * 2}
    torch.manual_seed(0)
    Qwen2ForCausalLM(Qwen2Config(**config)).bfloat16().save_pretrained(folder)
    for name in ("generation_config.json", "tokenizer.json", "tokenizer_config.json", "training.json"):
        shutil.copy(starter / name, folder)
    return folder


@pytest.fixture(scope="session")
def adapters(starter, tmp_path_factory):
    """Variant to folder: two small random adapters as SFT and DPO would leave them, with trained ChatML tokens."""
    from tests.support.models import random_adapter

    names = ("sft", "dpo")
    return {name: random_adapter(starter, tmp_path_factory.mktemp(name), seed) for seed, name in enumerate(names, 1)}


@pytest.fixture(scope="session")
def variants(starter, adapters):
    """All three variants on one base. Tests leave it as it was."""
    from chat.variants import ModelRef, load_variants
    from tests.support.models import refs

    return load_variants(ModelRef(str(starter)), refs(adapters))


@pytest.fixture
def served(monkeypatch):
    """Starts stubs of a judge; returns each with the settings that ask it."""
    from eval.judge.settings import JudgeSettings
    from eval.judge.stub import Stub, serve_stub

    monkeypatch.setenv("JUDGE_KEY", "sk-test")
    started = []

    def serve(**options):
        asked = {name: options.pop(name) for name in list(options) if name in JudgeSettings.__dataclass_fields__}
        stub, ready = Stub(**options), threading.Event()
        found = {}

        async def main() -> None:
            found.update(loop=asyncio.get_running_loop(), task=asyncio.current_task())
            with suppress(asyncio.CancelledError):
                await serve_stub(stub, 0, lambda port: (found.update(port=port), ready.set()))

        thread = threading.Thread(target=lambda: asyncio.run(main()))
        thread.start()
        ready.wait()
        started.append((thread, found))
        address = f"http://127.0.0.1:{found['port']}/v1"
        return stub, JudgeSettings(**{"model": "stub", "base_url": address, "key_env": "JUDGE_KEY", **asked})

    yield serve
    for thread, found in started:
        found["loop"].call_soon_threadsafe(found["task"].cancel)
        thread.join()


@pytest.fixture(scope="session")
def browser():
    """Chromium, one for each process of the tests: Playwright's loop allows no second one beside it."""
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
