"""Settings: flags, environment, defaults, and the line that names a bad one."""

from __future__ import annotations

import re
import resource
import subprocess
import sys

import pytest

from hub.errors import UserError
from space.settings import SPACES_NETWORK, Settings, read_settings, setting_sources, settings_table


def test_flags_win_over_the_environment():
    environment = {"REPARTEE_NAMESPACE": "me", "REPARTEE_SIZE": "qwen2.5-3b", "GRADIO_SERVER_PORT": "7000"}
    assert read_settings([], environment) == Settings("me", "qwen2.5-3b", port=7000)
    flags = ["--namespace", "you", "--size", "starter", "--port", "8000"]
    assert read_settings(flags, environment) == Settings("you", "starter", port=8000)


def test_defaults_and_revisions():
    settings = read_settings([], {"REPARTEE_NAMESPACE": "me", "REPARTEE_SFT_REVISION": "v1", "REPARTEE_BASE": ""})
    assert (settings.size, settings.host, settings.port) == ("starter", "127.0.0.1", 7860)
    assert (settings.sft_revision, settings.dpo_revision, settings.base) == ("v1", None, None)


def test_what_is_pasted_loses_its_white_space():
    found = read_settings(
        [],
        {
            "REPARTEE_NAMESPACE": " me\n",
            "GRADIO_SERVER_PORT": "7000 ",
            "REPARTEE_ENGINE_URL": "base = http://a:1/v1 ,sft=http://b:2/v1,\n dpo=http://c:3/v1\n",
            "REPARTEE_ENGINE_MODELS": "\tsft= tuned \n",
        },
    )
    assert (found.namespace, found.port) == ("me", 7000)
    assert found.servers == {
        "base": ("http://a:1/v1", "base"),
        "sft": ("http://b:2/v1", "tuned"),
        "dpo": ("http://c:3/v1", "dpo"),
    }


def test_the_request_guard_and_the_votes_are_set_by_the_environment():
    plain = read_settings([], {"REPARTEE_NAMESPACE": "me"})
    assert (plain.proxies, plain.session_rate, plain.address_rate, plain.votes_every) == ("", 30, 120, 300)
    assert plain.votes_folder == ".repartee/votes"
    given = {"SESSION_RATE": "5", "ADDRESS_RATE": "7.5", "VOTES_EVERY": "60", "VOTES_FOLDER": "/data", "PROXIES": "::1"}
    told = read_settings([], {f"REPARTEE_{name}": value for name, value in (*given.items(), ("NAMESPACE", "me"))})
    assert (told.session_rate, told.address_rate, told.votes_every) == (5, 7.5, 60)
    assert (told.votes_folder, told.proxies) == ("/data", "::1")
    assert read_settings([], {"REPARTEE_NAMESPACE": "me", "SPACE_ID": "me/repartee"}).proxies == SPACES_NETWORK


@pytest.mark.parametrize(
    ("name", "value"),
    [("SESSION_RATE", "many"), ("ADDRESS_RATE", "0"), ("VOTES_EVERY", "-1"), ("PROXIES", "everybody")],
)
def test_a_bad_setting_of_the_environment_is_named(name, value):
    with pytest.raises(UserError, match=f"REPARTEE_{name}"):
        read_settings([], {"REPARTEE_NAMESPACE": "me", f"REPARTEE_{name}": value})


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
        read_settings(arguments, {})


def test_a_server_is_chosen_by_the_environment():
    def told(**environment):
        given = {f"REPARTEE_{name}": value for name, value in environment.items()}
        return read_settings([], {"REPARTEE_NAMESPACE": "me", **given})

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
        read_settings([], {"REPARTEE_NAMESPACE": "me", f"REPARTEE_{name}": value})
    assert "hunter2" not in str(raised.value)


def test_every_setting_has_its_own_variables_a_help_and_a_row_of_the_table():
    table = settings_table()
    variables = [name for source in setting_sources().values() for name in source.variables]
    assert len(set(variables)) == len(variables)
    assert set(setting_sources()) == set(Settings.__dataclass_fields__)
    assert all(source.help and f"`{source.variables[0]}`" in table for source in setting_sources().values())
    assert len(table.splitlines()) == 2 + len(setting_sources())


def test_a_variable_that_is_set_to_nothing():
    """Is the default, but for those in which nothing is a value."""
    empty = {name: "" for source in setting_sources().values() for name in source.variables}
    found = read_settings(["--namespace", "me"], {**empty, "SPACE_ID": "me/repartee"})
    assert found == Settings("me", compiled=False)
    assert (found.proxies, found.mcp) == ("", False)


def test_help_takes_a_second_of_cpu_at_most():
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run([sys.executable, "app.py", "--help"], capture_output=True, text=True, check=True)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before <= 1
    assert all(name in done.stdout for source in setting_sources().values() for name in source.variables)
