"""The page on real servers: chat, compare, and a server that dies in mid-answer and comes back."""

from __future__ import annotations

import time

import pytest

from chat.sampling import Sampling
from chat.variants import VARIANTS
from tests.support.scenes import user_prompts
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


def test_all_variants_answer_on_the_page(page, local):
    from gradio_client import Client

    client = Client(page.url, verbose=False)
    answers = client.predict("Where were you last night?", temperature=0, api_name="/compare")
    assert set(answers) == set(VARIANTS)
    assert all(answer["reply"] for answer in answers.values())
    alone = client.predict("Where were you last night?", variant="sft", temperature=0, api_name="/chat")
    assert alone["reply"] == answers["sft"]["reply"]
    [ours] = list(local.stream(user_prompts("Where were you last night?"), ["sft"], GREEDY))[-1]
    assert alone["reply"].split()[:2] == ours.text.split()[:2]


def test_the_page_outlives_its_server(page, running):
    from gradio_client import Client
    from gradio_client.exceptions import AppError

    client = Client(page.url, verbose=False)
    job = client.submit("Tell me a long story about the sea.", variant="base", temperature=0, api_name="/chat")
    time.sleep(0.5)
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
