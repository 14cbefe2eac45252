"""64 visitors at once, for five minutes (`make proof`) or twenty seconds: nobody hears another, nothing grows."""

from __future__ import annotations

import asyncio
import os
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

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


@pytest.fixture(scope="module")
def crowd(family, tmp_path_factory):
    """What a crowd has seen of the page, the memory that it took, and the page's log."""
    folder = tmp_path_factory.mktemp("load")
    with opened(family, folder, REPARTEE_SESSION_RATE="30") as page:  # the address is one: its rate is not in the way
        with memory_of(page.process) as noted:
            began = time.monotonic()
            with ThreadPoolExecutor(1) as thread:  # the browser's loop may run in this one
                seen = thread.submit(asyncio.run, come(page.url, VISITORS, SECONDS)).result()
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
def test_every_answer_is_its_own(crowd, variants):
    """What was answered in the crowd is what one visitor alone is answered, by the variant that was asked."""
    from chat.engine.local import LocalEngine
    from chat.sampling import Sampling
    from chat.template import build_prompt

    seen = crowd[0]
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
