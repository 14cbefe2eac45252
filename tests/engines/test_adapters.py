"""Adapters on real servers: loaded and unloaded while they run, as modules or as files; and a merged model."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import replace

import pytest

from benchmarks.engine_servers import SERVER_KINDS, serving
from chat.engine.openai_formats import EngineError, Server
from chat.engine.openai_server import RemoteEngine
from chat.sampling import Sampling
from tests.support.near_ties import parting_gap
from tests.support.scenes import user_prompts

LINES = ["Where were you last night?", "I love you.", "Who did this to you?", "Put the gun down."]
GREEDY = Sampling(temperature=0, max_new_tokens=16)


def post(url, body):
    """Status and text of an answer."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def said(server, variants, name="sft"):
    """Greedy answers of one variant."""
    prompts = user_prompts(*LINES)
    with closing(RemoteEngine({name: server}, variants.tokenizer)) as engine:
        return [reply.text for reply in engine.replies(prompts, [name] * len(prompts), GREEDY, 1)]


def assert_like_ours(texts, local, variants, kind, name="sft"):
    """The local engine's own, but where the two best tokens are nearly as good."""
    prompts = user_prompts(*LINES)
    ours = list(local.stream(prompts, [name] * len(prompts), GREEDY))[-1]
    gaps = [
        parting_gap(variants, name, prompt, one.text, other)
        for prompt, one, other in zip(prompts, ours, texts, strict=True)
    ]
    assert all(gap is None or gap < kind.near_tie for gap in gaps), gaps


def test_an_adapter_is_loaded_and_unloaded_while_the_server_runs(running, published, variants, local, kind):
    if kind.adapters != "modules":
        pytest.skip(f"{kind.name} loads no module by name")
    url = running.server("base").url
    module = {"lora_name": "late", "lora_path": str(published.models.adapters["sft"])}
    with pytest.raises(EngineError, match="no model late"):
        said(Server(url, "late"), variants)
    assert post(f"{url}/load_lora_adapter", module)[0] == 200
    assert_like_ours(said(Server(url, "late"), variants), local, variants, kind)
    assert post(f"{url}/unload_lora_adapter", {"lora_name": "late"})[0] == 200
    with pytest.raises(EngineError, match="no model late"):
        said(Server(url, "late"), variants)


def test_an_adapter_s_file_is_applied_and_taken_off_while_the_server_runs(running, published, variants, local, kind):
    if kind.adapters != "files":
        pytest.skip(f"{kind.name} takes no adapter's file")
    server = running.server("base")
    place = server.url.removesuffix("/v1") + "/lora-adapters"
    before = said(server, variants)
    assert_like_ours(before, local, variants, kind, "base")
    try:
        assert post(place, [{"id": 0, "scale": 1.0}, {"id": 1, "scale": 0.0}])[0] == 200
        found = said(server, variants)
    finally:
        assert post(place, [{"id": 0, "scale": 0.0}, {"id": 1, "scale": 0.0}])[0] == 200
    assert found != before
    assert_like_ours(found, local, variants, kind)
    assert said(server, variants) == before


def test_merged_models_answer_as_the_adapters_do(published, variants, local, tmp_path):
    """vLLM on a merged model alone, without LoRA: what servers get that refuse an adapter."""
    kind = SERVER_KINDS["vllm"]
    from tests.engines.conftest import WANTED

    if kind.name not in WANTED.split(",") or kind.missing:
        pytest.skip(kind.missing or "vllm is not in REPARTEE_ENGINES")

    def command(models, variant, port):
        words = kind.command(models, variant, port)
        at = words.index("--enable-lora")
        return [words[0], str(models.merged["sft"]), *words[2:at], *words[words.index("--dtype") :]]

    alone = replace(kind, command=command)
    with serving(alone, published.models, tmp_path / "log") as running:
        assert_like_ours(said(running.server("base"), variants), local, variants, kind)
