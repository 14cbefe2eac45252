"""The page without a server, published once on the local Hub from a tiny random base and its GGUF files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hub.names import Names

TYPE = "f32"  # so that a browser's replies are those of transformers
DRAWN = {"do_sample": True, "temperature": 0.9, "top_k": 25, "top_p": 0.95, "max_new_tokens": 64}


@pytest.fixture(scope="session")
def gguf_family(hub_url, tiny_base, tmp_path_factory):
    """Names of a tiny base, two random adapters on it, and the GGUF files of all three."""
    from huggingface_hub import HfApi
    from transformers import GenerationConfig

    from hub.gguf.export import export
    from tests.support.models import random_adapter

    api, names = HfApi(), Names("static", "starter")
    api.create_repo(names.base)
    api.upload_folder(repo_id=names.base, folder_path=tiny_base)
    for seed, kind in enumerate(("sft", "dpo"), 1):
        folder = Path(random_adapter(tiny_base, tmp_path_factory.mktemp(kind), seed))
        config = json.loads((folder / "adapter_config.json").read_text())
        (folder / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": names.base}))
        GenerationConfig(**DRAWN, eos_token_id=[2, 0], pad_token_id=0).save_pretrained(folder)
        api.create_repo(names.adapter(kind))
        api.upload_folder(repo_id=names.adapter(kind), folder_path=folder)
    for kind in ("base", "sft", "dpo"):
        export(names, kind, [TYPE])
    return names


@pytest.fixture(scope="session")
def vendor_there():
    """Skips where the npm registry does not answer and its archives are not in the cache."""
    from hub.deploy.vendor import PACKAGES, vendored
    from hub.errors import UserError

    try:
        for package in PACKAGES:
            vendored(package)
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def static_page(gguf_family, vendor_there, browser):
    """The address of the page, deployed; the smoke test runs in the tests' own browser."""
    from huggingface_hub import HfApi

    from hub.deploy import static
    from hub.deploy.browser_check import ask_page

    patch = pytest.MonkeyPatch()
    patch.setattr(static, "check_in_browser", lambda url, minutes: ask_page(browser, url, minutes))
    static.deploy_static(static.StaticDeployment(gguf_family, TYPE, votes=True), minutes=2, interval=0.1)
    patch.undo()
    return static.page_address(HfApi(), gguf_family.static_space)


@pytest.fixture
def opened(static_page, browser):
    """Opens the page in a profile of its own: `opened(width=360, init=SCRIPT)`. Its policy must not be violated."""
    contexts, violations = [], []

    def visit(path: str = "", init: str = "", route=None, width: int = 1280, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: violations.append(said.text) if "Content Security" in said.text else None)
        if init:
            page.add_init_script(init)
        if route:
            context.route("**/resolve/**", route)
        page.goto(static_page + path)
        page.locator("body[data-state]").wait_for(state="attached", timeout=60_000)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert violations == []


@pytest.fixture
def ready(opened):
    """Opens the page and waits until all three models are in it."""
    from tests.support.static_page import until

    def visit(path: str = "", **options):
        page = opened(path, **options)
        page.click("#download")
        until(page, "ready", "#who label:nth-of-type(3)")
        return page

    return visit
