"""64 visitors at once, for five minutes (`make proof`) or twenty seconds: nobody hears another, nothing grows.

In the proof also on SmolLM2 with the adapters of this repository, published as `make page` publishes them, where its
wheel can be had; `REPARTEE_PROOF=1 python -m pytest tests/space/test_load.py -k smollm2` is that alone.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import statistics
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from chat.engine.threads import run_in_own_thread
from hub.errors import UserError
from space.page import WAITING
from tests.support.crowd import VARIANTS, come
from tests.support.space_process import opened

PROOF = bool(os.environ.get("REPARTEE_PROOF"))
VISITORS, SECONDS, CHECKED = 64, 300 if PROOF else 20, 200 if PROOF else 40
GROWTH = 1.1  # of the page's memory between the second quarter of the time and the last


@contextmanager
def memory_of(process: int):
    """MB in memory, noted once a second."""
    noted, ended = [], threading.Event()

    def note() -> None:
        while not ended.wait(1):
            status = Path(f"/proc/{process}/status").read_text()
            noted.append(int(status.split("VmRSS:")[1].split()[0]) / 1024)

    thread = threading.Thread(target=note)
    thread.start()
    try:
        yield noted
    finally:
        ended.set()
        thread.join()


def shipped_smollm2():
    """Namespace of SmolLM2 with the shipped adapters, and its variants."""
    from chat.variants import ModelRef, load_variants
    from training.base.origin import find_origin
    from training.recipe import load
    from training.shipped import publish_shipped
    from training.stage import WORK

    recipe = load(Path("training/recipes/smollm2-135m.yaml"))
    recipe = replace(recipe, hub=replace(recipe.hub, namespace=f"load-{secrets.token_hex(4)}"))
    try:
        find_origin(recipe.model, WORK / "downloads")
    except UserError as error:
        pytest.skip(f"SmolLM2 cannot be had: {error}")
    revision = publish_shipped(recipe, WORK)
    adapters = {kind: ModelRef(recipe.names.adapter(kind)) for kind in ("sft", "dpo")}
    variants = run_in_own_thread(load_variants, ModelRef(recipe.names.base, revision), adapters)
    return recipe.hub.namespace, variants


@pytest.fixture(
    scope="module",
    params=["starter", pytest.param("smollm2-135m", marks=pytest.mark.skipif(not PROOF, reason="make proof"))],
)
def crowded(request):
    """Size, namespace and variants of the models that are visited."""
    if request.param == "starter":
        return request.param, request.getfixturevalue("family"), request.getfixturevalue("variants")
    request.getfixturevalue("hub_url")
    return request.param, *shipped_smollm2()


@pytest.fixture(scope="module")
def crowd(crowded, tmp_path_factory):
    """What a crowd has seen of the page, the memory that it took, and the page's log."""
    folder, (size, family, _) = tmp_path_factory.mktemp("load"), crowded
    settings = {"REPARTEE_SIZE": size, "REPARTEE_SESSION_RATE": "30", "REPARTEE_PROXIES": "127.0.0.1"}
    with opened(family, folder, **settings) as page:
        with memory_of(page.process) as noted:
            began = time.monotonic()
            seen = run_in_own_thread(
                asyncio.run, come(page.url, VISITORS, SECONDS)
            )  # the browser's loop may run in this
            took = time.monotonic() - began
        answers = len(seen.chats) + len(seen.compared)
        waited = [wait.started - wait.joined for wait in seen.waits if wait.started]
        print(
            f"\n{VISITORS} visitors, {took:.0f} s: {answers} whole answers, {dict(seen.counts)}; in the queue for "
            f"{statistics.median(waited):.1f} s (median), {max(waited):.1f} s at most; "
            f"{noted[0]:.0f} to {noted[-1]:.0f} MB"
        )
        yield seen, noted, page.log


@pytest.mark.timeout(1500)
def test_there_is_no_error_but_the_stated_limits(crowd):
    seen, _, log = crowd
    assert seen.wrong == []
    assert len(seen.chats) > 5
    assert len(seen.compared) > 3
    assert {"stop", "leave", "ask_wrongly"} <= set(seen.counts)
    said = log.read_text()
    bounds = said.count("gradio.exceptions.Error: 'Value 9 is greater than")  # Gradio's own check of a slider is one
    assert said.count("Traceback (most recent call last)") == bounds


@pytest.mark.timeout(1500)
def test_every_answer_is_its_own(crowd, crowded):
    """What was answered in the crowd is what one visitor alone is answered, by the variant that was asked."""
    from chat.engine.local import LocalEngine
    from chat.sampling import Sampling
    from chat.template import build_prompt

    seen, variants = crowd[0], crowded[2]
    lines = [line for line, *_ in seen.chats] + [line for line, _ in seen.compared]
    assert len(set(lines)) == len(lines), "each request has a word of its own"
    asked = [([line], [variant], [reply]) for line, variant, reply in seen.chats]
    asked += [([line] * 3, list(VARIANTS), replies) for line, replies in seen.compared]
    step = max(1, len(asked) // CHECKED)
    with closing(LocalEngine(variants, "float32")) as engine:
        for said, names, replies in asked[::step]:
            prompts = [build_prompt([{"role": "user", "content": line}], variants.context_turns) for line in said]
            *_, alone = engine.stream(prompts, names, Sampling(temperature=0))
            assert [row.text for row in alone] == [unescaped(reply) for reply in replies], said
    print(f"{len(asked[::step])} of {len(asked)} answers are what one visitor alone is answered")


def unescaped(text: str) -> str:
    from html import unescape

    return unescape(text)


@pytest.mark.timeout(1500)
def test_memory_is_flat(crowd):
    noted = crowd[1]
    quarter = len(noted) // 4
    early, late = statistics.median(noted[quarter : 2 * quarter]), statistics.median(noted[-quarter:])
    print(f"{early:.0f} MB in the second quarter, {late:.0f} MB in the last")
    assert late < early * GROWTH


@pytest.mark.timeout(1500)
def test_a_place_in_the_queue_is_the_truth(crowd):
    """It never grows, it is within the cap, and who joined clearly later is not served before."""
    waits = [wait for wait in crowd[0].waits if wait.ranks]
    assert max(rank for wait in waits for rank in wait.ranks) > 5, "there was a queue"
    for wait in waits:
        assert all(later <= earlier for earlier, later in pairwise(wait.ranks)), wait
        assert all(rank < size <= WAITING for rank, size in zip(wait.ranks, wait.sizes, strict=True)), wait
    served = sorted((wait for wait in waits if wait.started), key=lambda wait: wait.joined)
    for place, wait in enumerate(served):
        overtaken = [later for later in served[place + 1 :] if later.joined > wait.joined + 1]
        assert all(later.started > wait.started - 0.5 for later in overtaken), wait
