"""Judgements of real servers, as recorded: the client reads them, and the stub judge has their form."""

from __future__ import annotations

import pytest
from openai.types.chat import ChatCompletion

from eval.judge.messages import Request
from eval.judge.protocol import parse_response
from eval.judge.settings import JudgeSettings
from tests.support.recordings import FOLDER, exchange, form, recorded, requests_of

SERVERS = sorted(path.stem for path in FOLDER.glob("*.jsonl"))
CHATS = [
    (name, what) for name in SERVERS for what in ("chat", "older chat") if recorded(name)[what]["status"] == 200
]  # fmt: skip


@pytest.mark.parametrize(("name", "what"), CHATS)
def test_the_client_reads_what_real_servers_answered(name, what):
    response = ChatCompletion.model_validate(recorded(name)[what]["response"])
    found = parse_response(response, Request((("user", "x"),), 1, logprobs=3), JudgeSettings(model="base"))
    assert found.texts[0]
    assert not found.refused
    assert not found.estimated
    assert found.prompt_tokens > 5
    assert len(found.first) == (0 if name == "transformers" else 3)
    assert all(value <= 0 for _, value in found.first)


def test_the_stub_judge_has_the_form_of_real_servers(served):
    _, settings = served(alternatives=3)
    [row] = [row for row in requests_of("stub", "", {}) if row["what"] == "chat"]
    stub = form(exchange(settings.base_url, row)["response"])
    forms = [form(recorded(name)[what]["response"]) for name, what in CHATS]
    assert stub.keys() <= set().union(*forms)
    assert set.intersection(*(set(one) for one in forms)) <= stub.keys()
    assert "choices[].logprobs.content[].top_logprobs[].token" in stub
