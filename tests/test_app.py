"""The Space's command: its settings, the models that it pins, and the one line that it gives up with."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import app
from chat.variants import ModelRef
from hub.errors import UserError
from hub.local import free_port
from space.settings import SPACES_NETWORK


def test_flags_win_over_the_environment():
    environment = {"REPARTEE_NAMESPACE": "me", "REPARTEE_SIZE": "qwen2.5-3b", "GRADIO_SERVER_PORT": "7000"}
    assert app.read_settings([], environment) == app.Settings("me", "qwen2.5-3b", port=7000)
    flags = ["--namespace", "you", "--size", "starter", "--port", "8000"]
    assert app.read_settings(flags, environment) == app.Settings("you", "starter", port=8000)


def test_defaults_and_revisions():
    settings = app.read_settings([], {"REPARTEE_NAMESPACE": "me", "REPARTEE_SFT_REVISION": "v1", "REPARTEE_BASE": ""})
    assert (settings.size, settings.host, settings.port) == ("starter", "127.0.0.1", 7860)
    assert (settings.sft_revision, settings.dpo_revision, settings.base) == ("v1", None, None)


def test_the_door_and_the_votes_are_set_by_the_environment():
    plain = app.read_settings([], {"REPARTEE_NAMESPACE": "me"})
    assert (plain.proxies, plain.session_rate, plain.address_rate, plain.votes_every) == ("", 30, 120, 300)
    assert plain.votes_folder == ".repartee/votes"
    given = {"SESSION_RATE": "5", "ADDRESS_RATE": "7.5", "VOTES_EVERY": "60", "VOTES_FOLDER": "/data", "PROXIES": "::1"}
    told = app.read_settings([], {f"REPARTEE_{name}": value for name, value in (*given.items(), ("NAMESPACE", "me"))})
    assert (told.session_rate, told.address_rate, told.votes_every) == (5, 7.5, 60)
    assert (told.votes_folder, told.proxies) == ("/data", "::1")
    assert app.read_settings([], {"REPARTEE_NAMESPACE": "me", "SPACE_ID": "me/repartee"}).proxies == SPACES_NETWORK


@pytest.mark.parametrize(
    ("name", "value"),
    [("SESSION_RATE", "many"), ("ADDRESS_RATE", "0"), ("VOTES_EVERY", "-1"), ("PROXIES", "everybody")],
)
def test_a_bad_setting_of_the_environment_is_named(name, value):
    with pytest.raises(UserError, match=f"REPARTEE_{name}"):
        app.read_settings([], {"REPARTEE_NAMESPACE": "me", f"REPARTEE_{name}": value})


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "REPARTEE_NAMESPACE"),
        (["--namespace", "me/you"], "me/you"),
        (["--namespace", "me", "--size", "../x"], "../x"),
        (["--namespace", "me", "--port", "http"], "http"),
        (["--namespace", "me", "--port", "70000"], "70000"),
    ],
)
def test_a_bad_setting_is_named(arguments, named):
    with pytest.raises(UserError, match=re.escape(named)):
        app.read_settings(arguments, {})


def publish(repo: str, **config: object) -> str:
    """Put a repository with nothing but its configuration on the Hub; returns its commit."""
    from huggingface_hub import CommitOperationAdd, HfApi

    HfApi().create_repo(repo)
    name = "adapter_config.json" if config else "config.json"
    added = [CommitOperationAdd(name, json.dumps(config).encode())]
    return HfApi().create_commit(repo, added, commit_message="add").oid


def test_models_are_pinned_to_full_commits(hub_url, namespace):
    base = f"{namespace}/repartee-starter"
    first, second = publish(base), publish(f"{namespace}/other")
    names = {kind: f"{namespace}/repartee-starter-{kind}" for kind in ("sft", "dpo")}
    shas = {kind: publish(repo, base_model_name_or_path=base) for kind, repo in names.items()}
    adapters = {kind: ModelRef(repo, shas[kind]) for kind, repo in names.items()}
    assert app.find_models(app.Settings(namespace)) == app.PinnedModels(ModelRef(base, first), adapters)
    other = app.find_models(app.Settings(namespace, base=f"{namespace}/other"))
    assert other.base == ModelRef(f"{namespace}/other", second)


def test_the_base_is_the_commit_that_the_adapters_were_trained_on(hub_url, namespace):
    from huggingface_hub import CommitOperationAdd, HfApi

    base = f"{namespace}/repartee-starter"
    trained_on = publish(base)
    HfApi().create_commit(base, [CommitOperationAdd("later", b"later")], commit_message="later")
    for kind in ("sft", "dpo"):
        publish(f"{namespace}/repartee-starter-{kind}", base_model_name_or_path=base, revision=trained_on)
    assert app.find_models(app.Settings(namespace)).revisions["base"] == trained_on


def test_adapters_on_two_bases_are_refused(hub_url, namespace):
    for kind in ("sft", "dpo"):
        publish(f"{namespace}/repartee-starter-{kind}", base_model_name_or_path=f"{namespace}/base-{kind}")
    with pytest.raises(UserError, match=r"base-dpo, .*base-sft"):
        app.find_models(app.Settings(namespace))


def refusal(*arguments: str, **environment: str) -> str:
    """Run app.py, which must give up: with status 1, and one line on stderr, which is returned."""
    done = subprocess.run(
        [sys.executable, "app.py", *arguments],
        cwd=Path(app.__file__).parent, env=os.environ | environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def test_start_errors_are_one_clear_line(hub_url):
    assert "REPARTEE_SIZE" in refusal("--namespace", "me", "--size", "a b")
    missing = refusal("--namespace", "nobody-here", "--port", str(free_port()))
    assert "nobody-here/repartee-starter-sft" in missing
    nowhere = f"http://127.0.0.1:{free_port()}"
    assert nowhere in refusal("--namespace", "me", "--port", str(free_port()), HF_ENDPOINT=nowhere)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert "--port" in refusal("--namespace", "me", "--port", str(other.getsockname()[1]))


# ---- engines and the cache


def test_a_server_is_chosen_by_the_environment():
    def told(**environment):
        given = {f"REPARTEE_{name}": value for name, value in environment.items()}
        return app.read_settings([], {"REPARTEE_NAMESPACE": "me", **given})

    assert told().servers == {}
    assert told(ENGINE_URL="http://a/v1", ENGINE_MODELS="sft=me/x").servers == {
        "base": ("http://a/v1", "base"), "sft": ("http://a/v1", "me/x"), "dpo": ("http://a/v1", "dpo"),
    }  # fmt: skip
    apart = told(ENGINE_URL="base=http://a:1/v1, sft=http://a:2/v1,dpo=https://b/v1", AT_ONCE="64")
    assert [url for url, _ in apart.servers.values()] == ["http://a:1/v1", "http://a:2/v1", "https://b/v1"]
    assert apart.at_once == 64


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENGINE_URL", "localhost:8000"), ("ENGINE_URL", "http://user:hunter2@a/v1"), ("ENGINE_URL", "http://a/v1?key=hunter2"),
        ("ENGINE_URL", "base=http://a/v1"), ("ENGINE_URL", "rlhf=http://a/v1"), ("AT_ONCE", "0"),
    ],
)  # fmt: skip
def test_a_bad_address_is_named_and_not_shown(name, value):
    with pytest.raises(UserError, match=f"REPARTEE_{name}") as raised:
        app.read_settings([], {"REPARTEE_NAMESPACE": "me", f"REPARTEE_{name}": value})
    assert "hunter2" not in str(raised.value)


def test_the_hub_may_be_down_where_the_models_are_in_the_cache(hub_url, namespace, monkeypatch):
    import httpx2
    from huggingface_hub import HfApi

    base = f"{namespace}/repartee-starter"
    publish(base)
    for kind in ("sft", "dpo"):
        publish(f"{namespace}/repartee-starter-{kind}", base_model_name_or_path=base)
    settings = app.Settings(namespace)
    before = app.find_models(settings)
    assert before.hub_is_down == ""

    def down(*arguments, **options):
        raise httpx2.ConnectError("refused")

    monkeypatch.setattr(HfApi, "model_info", down)
    after = app.find_models(settings)
    assert (after.base, after.adapters, after.revisions) == (before.base, before.adapters, before.revisions)
    assert "does not answer (refused)" in after.hub_is_down
    with pytest.raises(UserError, match="nobody-was-here/repartee-starter-sft is not in the cache"):
        app.find_models(app.Settings("nobody-was-here"))
