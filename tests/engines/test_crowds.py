"""Past one process: two pages and two replicas of a real server behind Caddy, by docs/serving/Caddyfile as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager

import pytest

from benchmarks.engine_servers import serving
from chat.sampling import Sampling
from chat.template import build_prompt
from hub.local import free_port
from hub.votes.vote import votes
from tests.support.browser import ballot
from tests.support.near_ties import parting_gap
from tests.support.space_process import ROOT, opened

ENDED = """turns => document.querySelectorAll('#conversation .user').length === turns
    && document.querySelector('#latest .current[data-variant="dpo"] .ended')?.textContent.includes('Seed')"""
LINE = "You said you would never come back."


@contextmanager
def caddy(log, **settings):
    """Caddy with the project's file, until the block ends."""
    command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(ROOT / "docs" / "serving" / "Caddyfile")]
    home = {"HOME": str(log.parent), "XDG_DATA_HOME": str(log.parent), "XDG_CONFIG_HOME": str(log.parent)}
    with log.open("w") as output:
        process = subprocess.Popen(command, env=os.environ | home | settings, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


def listening(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5)
    except urllib.error.HTTPError:
        return True  # Caddy, without anything behind it yet
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def crowd(running, kind, published, tmp_path_factory):
    """Caddy's address, the two pages behind it, and the second replica."""
    if not kind.one_process:
        pytest.skip(f"{kind.name} has a process for each variant: each is a balancer's address of its own")
    if not shutil.which("caddy"):
        pytest.skip("caddy is not installed (apt-get install caddy)")
    folder = tmp_path_factory.mktemp("crowd")
    front, balancer, ports = free_port(), free_port(), [free_port(), free_port()]
    engine = f"http://127.0.0.1:{balancer}/v1"
    settings = {
        "REPARTEE_ENGINE_URL": engine, "REPARTEE_SIZE": published.names.size, "REPARTEE_PROXIES": "127.0.0.1",
        "REPARTEE_ENGINE_MODELS": ",".join(f"{name}={one.model}" for name, one in running.servers.items()),
        "REPARTEE_AT_ONCE": "32", "REPARTEE_VOTES_EVERY": "3",
    }  # fmt: skip
    with ExitStack() as opening:
        second = opening.enter_context(serving(kind, running.models, folder / "second.log"))
        engines = " ".join(f"127.0.0.1:{one.ports['base']}" for one in (running, second))
        pages = " ".join(f"127.0.0.1:{port}" for port in ports)
        where = {"PAGE": f"http://127.0.0.1:{front}", "PAGES": pages, "ENGINES": engines, "ENGINE_PORT": str(balancer)}
        opening.enter_context(caddy(folder / "caddy.log", **where))
        deadline = time.monotonic() + 30
        while not listening(f"http://127.0.0.1:{balancer}/"):
            assert time.monotonic() < deadline, (folder / "caddy.log").read_text()
            time.sleep(0.1)
        spaces = []
        for number, port in enumerate(ports):
            (folder / f"page-{number}").mkdir()
            page = opened(published.names.namespace, folder / f"page-{number}", port=port, **settings)
            spaces.append(opening.enter_context(page))
        yield f"http://127.0.0.1:{front}/", spaces, second


def test_visitors_stay_on_their_page_and_every_answer_is_the_model_s(crowd, visit, local, variants, kind):
    """Eight visitors, greedy: the second line is answered in the conversation that the first began."""
    url, spaces, _ = crowd
    prompt = build_prompt([{"role": "user", "content": LINE}], variants.context_turns)
    [expected] = list(local.stream([prompt], ["dpo"], Sampling(temperature=0)))[-1]
    pages = set()
    for _ in range(8):
        with visit(url) as page:
            page.get_by_role("button", name="Sampling").click()
            slider = page.get_by_label("number input for Temperature")
            slider.fill("0")
            slider.press("Enter")
            for turns in (1, 2):
                page.fill("#chat-line textarea", LINE)
                page.press("#chat-line textarea", "Enter")
                page.wait_for_function(ENDED, arg=turns)
            said = page.inner_text('#latest .current[data-variant="dpo"] .message-content')
            gap = parting_gap(variants, "dpo", prompt, expected.text, said)
            assert gap is None or gap < kind.near_tie
            [cookie] = [one["value"] for one in page.context.cookies() if one["name"] == "repartee_page"]
            pages.add(cookie)
    assert len(pages) == len(spaces), "eight visitors of two pages"


def test_votes_of_both_pages_come_to_one_dataset(crowd, visit):
    url, spaces, _ = crowd
    cookies = set()
    for _ in range(12):
        with visit(url) as page:
            ballot(page)
            page.get_by_role("button", name="A is best").click()
            page.get_by_text("Thank you.").wait_for()
            cookies |= {one["value"] for one in page.context.cookies() if one["name"] == "repartee_page"}
        if len(cookies) == len(spaces):
            break
    assert len(cookies) == len(spaces)
    wanted = sorted(vote["comparison"] for space in spaces for vote in space.kept())
    deadline = time.monotonic() + 60
    while sorted(vote.comparison for vote in votes(spaces[0].votes)) != wanted:
        assert time.monotonic() < deadline
        time.sleep(1)
    assert len(wanted) >= len(spaces)


def test_a_replica_dies_and_the_pages_go_on(crowd):
    from gradio_client import Client

    url, spaces, second = crowd
    second.kill()
    for space in spaces:
        client = Client(space.url, verbose=False)
        for _ in range(4):
            assert client.predict(LINE, variant="sft", temperature=0, api_name="/chat")["reply"]
    assert Client(url, verbose=False).predict(LINE, variant="dpo", temperature=0, api_name="/chat")["reply"]
