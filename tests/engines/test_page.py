"""The page on real servers: chat, compare, and a server that dies in mid-answer and comes back."""

from __future__ import annotations

import time

import pytest

from chat.sampling import Sampling
from chat.template import build_prompt
from chat.variants import VARIANTS
from tests.support.near_ties import parting_gap
from tests.support.space_process import opened

GREEDY = Sampling(temperature=0)


@pytest.fixture(scope="module")
def page(running, published, tmp_path_factory):
    servers = running.servers
    settings = {
        "REPARTEE_ENGINE_URL": ",".join(f"{variant}={server.url}" for variant, server in servers.items()),
        "REPARTEE_ENGINE_MODELS": ",".join(f"{variant}={server.model}" for variant, server in servers.items()),
        "REPARTEE_SIZE": published.names.size,
    }
    with opened(published.names.namespace, tmp_path_factory.mktemp("page"), **settings) as page:
        yield page


def test_all_variants_answer_on_the_page(page, local, variants, kind):
    from gradio_client import Client

    client, line = Client(page.url, verbose=False), "Where were you last night?"
    answers = client.predict(line, temperature=0, api_name="/compare")
    assert set(answers) == set(VARIANTS)
    assert all(answer["reply"] for answer in answers.values())
    alone = client.predict(line, variant="sft", temperature=0, api_name="/chat")
    assert alone["reply"] == answers["sft"]["reply"]
    prompt = build_prompt([{"role": "user", "content": line}], variants.context_turns)
    [ours] = list(local.stream([prompt], ["sft"], GREEDY))[-1]
    gap = parting_gap(variants, "sft", prompt, ours.text, alone["reply"])
    assert gap is None or gap < kind.near_tie


def test_the_page_outlives_its_server(page, running):
    from gradio_client import Client
    from gradio_client.exceptions import AppError

    client = Client(page.url, verbose=False)
    running.pause()  # so that it is in mid-answer when it dies, however short its answer is
    job = client.submit("Tell me a long story about the sea.", variant="base", temperature=0, api_name="/chat")
    time.sleep(1)
    running.kill()
    try:
        with pytest.raises(AppError, match="do not answer just now"):
            job.result(timeout=120)
        with pytest.raises(AppError, match="do not answer just now"):
            client.predict("No.", variant="sft", temperature=0, api_name="/chat")
        assert "Traceback" not in page.log.read_text()
    finally:
        running.start()
    assert client.predict("No.", variant="sft", temperature=0, api_name="/chat")["reply"]
