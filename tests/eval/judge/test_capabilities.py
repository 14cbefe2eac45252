"""Capability probe of an endpoint, made once."""

import math

import pytest

from eval.judge.capabilities import Capabilities, probe
from eval.judge.client import Client
from eval.judge.messages import Request
from eval.judge.pairwise import LLMJudge
from hub.errors import UserError


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ({}, Capabilities(4, True, True, True)),
        ({"alternatives": 2}, Capabilities(2, True, True, True)),
        ({"most": 5}, Capabilities(4, True, True, True)),
        ({"alternatives": 0}, Capabilities(0, True, True, True)),
        ({"refuses": ("logprobs", "temperature")}, Capabilities(0, False, True, True)),
        ({"ignores": ("n",), "refuses": ("response_format",)}, Capabilities(4, True, False, False)),
    ],
)
def test_an_endpoint_is_probed_once_and_its_mode_said(served, tmp_path, capsys, options, mode):
    stub, settings = served(**options)
    stub.labels = lambda prompt: {"A": 0.9, "B": 0.1} if mode.alternatives else {}
    stub.tops = lambda labels: [("A", -0.1), ("B", -2.0), ("C", -3.0), ("D", -4.0)]
    with Client(settings, tmp_path / "c") as client:
        assert probe(client) == mode
        calls = stub.calls
        assert probe(client) == mode
        assert stub.calls == calls
    assert f"stub at {settings.base_url}/: {mode.summarize()}" in capsys.readouterr().out


ITEM = [([{"role": "user", "content": "Who?"}], "Me.", "You.")]


def reasoner(stub, opening, tokens):
    """Makes a stub think before each answer: its first token is not the label, and few tokens give no answer."""
    whole = stub.answer

    def answer(body):
        found = whole(body)
        said = found["choices"][0]
        if body["max_completion_tokens"] < tokens:
            said["message"]["content"] = opening.split("@")[0]
        else:
            said["message"]["content"] = opening.replace("@", said["message"]["content"].strip())
        if said["logprobs"]:
            tops = [{"token": "<think>", "logprob": -0.01}, {"token": "A", "logprob": -5.0}]
            said["logprobs"] = {"content": [{**tops[0], "top_logprobs": tops}]}
        return found

    stub.answer = answer


@pytest.mark.parametrize("opening", ["<think>\nA? B?\n</think>\n\n@", "Hm.</think>@", "<think>x</think>\n```\n@\n```"])
def test_a_judge_that_thinks_first_is_read_after_its_thinking(served, tmp_path, capsys, opening):
    stub, settings = served(thinking_tokens=500)
    reasoner(stub, opening, tokens=100)
    with Client(settings, tmp_path / "c", progress=False) as client:
        judge = LLMJudge(client)
        assert judge.capabilities.alternatives == 0
        assert judge.capabilities.thinking == 500
        assert judge.request(*ITEM[0]).max_tokens == 504
        assert judge.compare(ITEM)[0] in (0.0, 1.0)
        assert judge.unscored == 0
    assert "after up to 500 tokens of thinking" in capsys.readouterr().out


def test_a_code_fence_hides_the_label_from_the_first_token_alone(served, tmp_path):
    stub, settings = served()
    reasoner(stub, "```\n@\n```", tokens=0)
    with Client(settings, tmp_path / "c", progress=False) as client:
        found = probe(client)
    assert (found.alternatives, found.thinking) == (0, 0)


@pytest.mark.parametrize(("chance", "alternatives"), [(0.3, 20), (0.05, 0)])
def test_a_small_model_that_goes_on_after_its_letter_is_read_by_its_first_token(served, tmp_path, chance, alternatives):
    """SmolLM2 on llama.cpp's server, as recorded: asked for the letter A it says "Amina", A the likeliest token."""
    stub, settings = served()
    usual = stub.answer

    def answer(body):
        found = usual(body)
        one = body.get("max_completion_tokens") == 1
        for choice in found["choices"]:
            choice["message"]["content"] = "A" if one else "Amina"
            if choice["logprobs"]:
                rest = [(f"w{n}", 0.1) for n in range(19)]
                tops = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in [("A", chance), *rest]]
                choice["logprobs"]["content"][0]["top_logprobs"] = tops
        return found

    stub.answer = answer
    with Client(settings, tmp_path / "c", progress=False) as client:
        found = probe(client)
    assert (found.alternatives, found.thinking) == (alternatives, 0)


def test_a_judge_whose_label_cannot_be_read_stops_at_the_probe(served, tmp_path):
    stub, settings = served(thinking_tokens=300)
    reasoner(stub, "<think>It goes on and on@", tokens=100_000)
    with Client(settings, tmp_path / "c", progress=False) as client:
        with pytest.raises(UserError, match=r"no label.*within 300; .*judge\.effort.*judge\.thinking_tokens"):
            probe(client)
        assert client.cache.note("x") is None


@pytest.mark.parametrize("code", ["content_filter", "bad_request"])
def test_a_400_at_the_probe_is_fatal(served, tmp_path, code):
    stub, settings = served()
    stub.rejects = lambda body: (400, {"error": {"message": "No way.", "code": code}})
    with Client(settings, tmp_path / "c", progress=False) as client, pytest.raises(UserError, match="No way"):
        probe(client)


def test_403_for_log_probabilities_falls_back(served, tmp_path):
    stub, settings = served()
    refusal = {"error": {"message": "You are not allowed to request logprobs", "type": "invalid_request_error"}}
    stub.rejects = lambda body: (403, refusal) if "logprobs" in body else None
    with Client(settings, tmp_path / "c", progress=False) as client:
        judge = LLMJudge(client)
        assert judge.capabilities.alternatives == 0
        assert judge.compare(ITEM)[0] in (0.0, 1.0)


def test_the_name_of_the_token_limit_is_remembered(served, tmp_path):
    stub, settings = served()
    stub.rejects = lambda body: (
        (400, {"error": "unknown field max_completion_tokens"}) if ("max_completion_tokens" in body) else None
    )
    with Client(settings, tmp_path / "c", progress=False) as client:
        assert "asked with max_tokens" in probe(client).summarize()
    calls = stub.calls
    with Client(settings, tmp_path / "c", progress=False) as client:
        probe(client)
        client.ask([Request((("user", "Which?"),), 5)])
    assert stub.calls == calls + 1
