"""What the environment does to a command: a cache that cannot be written, a proxy, no network by choice; one line."""

import errno
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
from huggingface_hub import constants

from hub.errors import explain
from hub.lineage import Lineage
from hub.publish import publish

AFAR = {"HF_ENDPOINT": "http://hub.invalid", "NO_PROXY": "", "no_proxy": ""}


def told(number: int, path) -> str | None:
    return explain(OSError(number, os.strerror(number), str(path)))


@pytest.mark.parametrize("name", ["HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "HF_XET_CACHE"])
@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOTDIR, errno.EPERM, errno.EEXIST, errno.ENOENT])
def test_a_cache_that_cannot_be_written_names_the_variable_that_moves_it(tmp_path, monkeypatch, name, number):
    folder = tmp_path / "missing" / "cache"
    monkeypatch.setattr(constants, "HF_HOME", str(folder if name == "HF_HOME" else tmp_path / "home"))
    monkeypatch.setenv(name, str(folder))
    for path in (folder, folder / "hub" / "x", folder.parent):
        said = told(number, path)
        assert said == f"{folder} cannot be written ({path}: {os.strerror(number)}); set {name} to a folder that can be"


def test_another_place_is_named_and_a_missing_file_is_a_bug(tmp_path):
    assert told(errno.EACCES, "/elsewhere/work") == (
        "/elsewhere/work cannot be read or written (Permission denied); choose another place, or change its rights"
    )
    assert told(errno.ENOENT, "/elsewhere/work") is None
    os.makedirs(constants.HF_HOME, exist_ok=True)
    assert told(errno.ENOENT, f"{constants.HF_HOME}/hub/x") is None  # the folder is there and takes files
    assert explain(OSError(errno.EACCES, "no file named")) is None
    assert explain(ValueError("Unknown scheme")) is None


@pytest.fixture
def published(namespace):
    name = f"{namespace}/made"
    publish(name, "model", {"a": b"1"}, Lineage("test", {}, ()), "m")
    return name


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"HF_HOME": "/dev/null/x"}, "set HF_HOME to a folder that can be"),
        ({**AFAR, "ALL_PROXY": "socks5://127.0.0.1:9"}, "pip install socksio, or unset it"),
        ({**AFAR, "ALL_PROXY": "socks://127.0.0.1:9"}, "ALL_PROXY is no address of a proxy: set it to http://HOST"),
        ({**AFAR, "http_proxy": "http://me:se#cret@127.0.0.1:9"}, "http_proxy is no address of a proxy"),
        ({**AFAR, "HTTP_PROXY": "http://127.0.0.1:9"}, "check the network, and the proxy that HTTP_PROXY names"),
        ({"HF_ENDPOINT": "127.0.0.1:8765"}, "HF_ENDPOINT is '127.0.0.1:8765'; set it to one like https://"),
        ({"HF_ENDPOINT": "http://127.0.0.1:port"}, "HF_ENDPOINT is 'http://127.0.0.1:port'; set it to one"),
        ({"HF_ENDPOINT": "http://[::1"}, "HF_ENDPOINT is 'http://[::1'; set it to one"),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
        ({"TRANSFORMERS_OFFLINE": "1", "HF_HUB_OFFLINE": ""}, "HF_HUB_OFFLINE is set"),
    ],
    ids=lambda value: list(value.values())[-1] if isinstance(value, dict) else "",
)
def test_a_command_ends_in_one_line(published, environment, said):
    if "socksio" in said and find_spec("socksio"):
        pytest.skip("socksio is installed: SOCKS works")
    command = [sys.executable, "-m", "hub.lineage", published]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert "cret" not in done.stderr
