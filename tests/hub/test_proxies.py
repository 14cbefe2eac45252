"""Proxies of the environment: the local Hub's clients never use one."""

import os
import sys

import pytest

from hub import proxies
from hub.local import client_environment
from hub.proxies import direct_environment, unusable
from tests.support import warm_hub

DEAD = "127.0.0.1:9"


def test_this_machine_is_asked_directly_and_others_as_before():
    made = direct_environment("hub.lan", environment={"NO_PROXY": "a.b, 10.0.0.0/8", "no_proxy": "c.d,a.b"})
    assert made == dict.fromkeys(("NO_PROXY", "no_proxy"), "a.b,10.0.0.0/8,c.d,127.0.0.1,localhost,hub.lan")
    assert direct_environment(environment={}) == dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")


@pytest.mark.parametrize(
    ("proxy", "socksio", "usable"),
    [
        (f"http://{DEAD}", False, True),
        (f"HTTPS://{DEAD}", False, True),
        (DEAD, False, True),  # which httpx reads as http://
        ("", False, True),
        (f"socks5://{DEAD}", False, False),
        (f"socks5h://{DEAD}", False, False),
        (f"socks5h://{DEAD}", True, True),
        (f"socks://{DEAD}", True, False),  # as GNOME writes it
        (f"socks4://{DEAD}", True, False),
        ("http://me:se#cret@127.0.0.1:9", True, False),  # no port is a number then
        (f" http://{DEAD}", True, False),
        ("http://[::1", True, False),
        ("http://me:se%23cret@[::1]:9", True, True),
    ],
)
@pytest.mark.parametrize("name", ["ALL_PROXY", "https_proxy"])
def test_a_proxy_that_httpx_cannot_use_is_emptied(monkeypatch, name, proxy, socksio, usable):
    monkeypatch.setattr(proxies, "find_spec", lambda module: object() if socksio else None)
    assert unusable({name: proxy}) == ([] if usable else [name])
    assert direct_environment(environment={name: proxy}).get(name) == (None if usable else "")


def test_a_hub_on_another_address_is_asked_directly_too(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", " hf_pasted\n")
    made = client_environment("http://192.168.1.5:8765", tmp_path)
    assert made["NO_PROXY"].endswith("192.168.1.5")
    assert made["HF_TOKEN"] == "hf_pasted"
    assert {made[name] for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")} == {"0"}


CLIENT = """
import datasets.config, httpx2
from huggingface_hub import HfApi, constants
api = HfApi()
api.create_repo("me/x")
api.upload_file(path_or_fileobj=b"1", path_in_repo="a", repo_id="me/x")
print(api.list_repo_files("me/x"), constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE)
"""


def test_a_client_comes_through_whatever_proxy_and_offline_mode_are_set(tmp_path):
    environment = dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"), f"http://{DEAD}")
    environment |= dict.fromkeys(("ALL_PROXY", "all_proxy"), f"socks://{DEAD}")
    environment |= dict.fromkeys(("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"), "1")
    environment |= dict.fromkeys(("NO_PROXY", "no_proxy"), "")
    arguments = ["run", "--data", tmp_path / "hub", "--", sys.executable, "-c", CLIENT]
    done = warm_hub.run(warm_hub.LOCAL_HUB, *arguments, folder=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['.gitattributes', 'a'] False False"
    assert "ALL_PROXY, all_proxy: httpx cannot use such a proxy" in done.stderr
    assert "ALL_PROXY" not in os.environ


@pytest.mark.parametrize(
    "proxy",
    [f"http://{DEAD}", f"socks5://{DEAD}", f"socks://{DEAD}", "http://me:se#cret@127.0.0.1:9", "http://[::1"],
)
def test_a_command_of_ours_asks_a_hub_of_this_machine_without_a_proxy(hub_url, tmp_path, proxy):
    """As where HF_ENDPOINT is set by hand, and nothing else of what `serve` prints."""
    given = dict.fromkeys(("HTTP_PROXY", "https_proxy", "ALL_PROXY"), proxy) | {"NO_PROXY": "hub.lan", "no_proxy": ""}
    done = warm_hub.run(warm_hub.LINEAGE, "me/none", folder=tmp_path, **given)
    assert "no model, dataset or Space me/none" in done.stderr, done.stderr
    assert ("httpx cannot use such a proxy" in done.stderr) == (unusable({"HTTP_PROXY": proxy}) != [])
    assert "cret" not in done.stderr


def test_other_hosts_keep_their_proxy(monkeypatch):
    for name in proxies.PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "hub.lan")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example")
    proxies.reach_this_machine_directly()
    assert os.environ["NO_PROXY"] == "hub.lan"  # no proxy is set, and nothing to do
    monkeypatch.setenv("HTTPS_PROXY", "socks://proxy:1")
    proxies.reach_this_machine_directly()
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == "hub.lan,127.0.0.1,localhost"
    assert os.environ["HTTPS_PROXY"] == "socks://proxy:1"
    assert proxies.proxies_of("https://hub.example") == ["HTTPS_PROXY"]
    for address in ("http://hub.example", "https://hub.lan", "https://127.0.0.2:1"):
        assert proxies.proxies_of(address) == []
