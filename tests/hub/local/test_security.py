"""What the local Hub refuses, and what it shows to nobody."""

import json
import os
import shutil
import subprocess
import urllib.parse
from contextlib import suppress

import httpx2
import pytest
from huggingface_hub import HfApi

from hub.local.tokens import token_of
from tests.support.hub_http import add, post, raw
from tests.support.warm_hub import running

# ---- paths


@pytest.mark.parametrize(
    "path", ["../x", "/etc/x", "a/../../x", ".git/config", "a/.GIT/x", "a\\..\\x", "a\nb", "", "a//b"]
)
def test_no_path_leaves_a_repository(hub_url, repo, path):
    for key in ("file", "deletedFile", "copyFile"):
        value = {"path": path, "content": "eA==", "encoding": "base64", "srcPath": ".gitattributes"}
        line = json.dumps({"key": key, "value": value})
        answer = post(f"{hub_url}/api/models/{repo}/commit/main", content=line)
        assert (answer.status_code, answer.headers["X-Error-Code"]) == (422, "InvalidPath")


@pytest.mark.parametrize("name", ["..", "a/b", ".hidden", "x.git", "x.lock", "é"])
def test_no_name_leaves_the_data_folder(hub_url, namespace, name):
    answer = post(f"{hub_url}/api/repos/create", json={"name": name, "organization": namespace})
    assert (answer.status_code, answer.headers["X-Error-Code"]) == (400, "InvalidRepoName")


CLIMBS = (
    "../../../../tokens.json",
    "..%2f..%2f..%2f..%2ftokens.json",
    "%2e%2e/%2e%2e/tokens.json",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "..%5c..%5ctokens.json",
    "a/%00/b",
    "%252e%252e/tokens.json",
    "\xff",
)


@pytest.mark.parametrize("climb", CLIMBS)
def test_no_address_climbs_out(hub_url, repo, climb):
    climb = urllib.parse.quote(climb, safe="%/.")
    for path in (
        f"/{repo}/resolve/main/{climb}",
        f"/{repo}/raw/main/{climb}",
        f"/{repo}/blob/main/{climb}",
        f"/{repo}/tree/main/{climb}",
        f"/{repo}/resolve/{climb}/tokens.json",
        f"/api/models/{repo}/tree/main/{climb}",
        f"/api/models/{climb}/x",
        f"/api/models/x/{climb}",
        f"/{climb}",
        f"/large/{climb}",
        f"/collections/x/{climb}",
        f"/api/collections/{climb}/x",
    ):
        status, body = raw(hub_url, path)
        assert 400 <= status < 500, (path, status)
        assert b"hf_local" not in body, path
        assert b"root:" not in body, path


def test_a_repository_holds_no_symlinks(api, repo, hub_url, tmp_path):
    """A link is a mode in git, which no commit here can ask for: what looks like one is a file with a path in it."""
    api.create_commit(repo, [add("link", b"../../tokens.json"), add("run.sh", b"#!/bin/sh")], commit_message="m")
    subprocess.run(["git", "clone", "-q", f"{hub_url}/{repo}", tmp_path / "x"], check=True)
    listed = subprocess.run(
        ["git", "-C", tmp_path / "x", "ls-tree", "-r", "HEAD"], capture_output=True, text=True, check=True
    )
    assert {line.split()[0] for line in listed.stdout.splitlines()} == {"100644"}
    assert (tmp_path / "x/link").read_text() == "../../tokens.json"
    assert not (tmp_path / "x/link").is_symlink()


# ---- sizes


def test_oversize_headers_and_bodies_get_a_clear_error(api, hub_url, repo):
    token = {"Authorization": f"Bearer {os.environ['HF_TOKEN']}"}
    status, body = raw(hub_url, f"/api/models/{repo}", headers=token | {"X-Long": "a" * 100_000})
    assert (status, b"headers" in body) == (431, True)
    status, body = raw(hub_url, f"/api/models/{repo}?x=" + "a" * 60_000, headers=token | {"X-Long": "a" * 8_000})
    assert status == 431
    for path, size in (("/api/repos/create", 17 << 20), (f"/api/models/{repo}/commit/main", 513 << 20)):
        status, body = raw(hub_url, path, "POST", token | {"Content-Length": str(size)})  # not even read
        assert (status, b"at most" in body) == (413, True), path

    def endless():
        for _ in range(20):
            yield b" " * (1 << 20)

    with suppress(httpx2.TransportError):  # without a Content-Length: cut off at the limit, or hung up on
        assert post(f"{hub_url}/api/repos/create", content=endless()).status_code == 413
    assert api.list_repo_files(repo) == [".gitattributes"]


def test_a_bug_is_told_with_an_id_and_without_its_traceback(tmp_path, capfd):
    with running(tmp_path) as url:
        HfApi(url, token_of(tmp_path)).create_repo("me/x")
        shutil.rmtree(tmp_path / "models/me/x.git/objects")
        (tmp_path / "models/me/x.git/objects").mkdir()
        broken = httpx2.get(f"{url}/api/models/me/x")
    assert (broken.status_code, broken.headers["X-Error-Code"]) == (500, "InternalError")
    assert "Traceback" not in broken.text
    assert f"request {broken.headers['X-Request-Id']}: GET /api/models/me/x" in capfd.readouterr().err


def test_every_answer_has_an_id_and_a_date(hub_url, repo):
    for path in ("/", f"/api/models/{repo}", f"/api/models/{repo}x", "/api/nothing/at/all/here", "/style.css"):
        answer = httpx2.get(hub_url + path)
        assert len(answer.headers.get_list("X-Request-Id")) == len(answer.headers.get_list("Date")) == 1, path
