"""The local Hub over real HTTP, asked by clients that we did not write."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from hub.local import client_environment, free_port, running


@pytest.fixture
def api(hub_url):
    return HfApi()


def add(path, content):
    return CommitOperationAdd(path, content)


def test_commit_read_and_history(api, namespace):
    name = f"{namespace}/notes"
    api.create_repo(name)
    first = api.create_commit(name, [add("a/b.txt", b"one"), add("c.txt", b"two")], commit_message="first")
    second = api.create_commit(
        name,
        [CommitOperationDelete("c.txt"), CommitOperationCopy("a/b.txt", "d.txt")],
        commit_message="second",
        parent_commit=first.oid,
    )
    assert set(api.list_repo_files(name)) == {".gitattributes", "a/b.txt", "d.txt"}
    assert set(api.list_repo_files(name, revision=first.oid)) == {".gitattributes", "a/b.txt", "c.txt"}
    assert Path(api.hf_hub_download(name, "d.txt")).read_bytes() == b"one"
    assert [commit.title for commit in api.list_repo_commits(name)] == ["second", "first", "initial commit"]
    assert api.model_info(name).sha == second.oid


def test_a_stale_parent_is_refused(api, namespace):
    name = f"{namespace}/stale"
    api.create_repo(name)
    parent = api.model_info(name).sha
    api.create_commit(name, [add("a", b"1")], commit_message="wins", parent_commit=parent)
    with pytest.raises(HfHubHTTPError) as caught:
        api.create_commit(name, [add("a", b"2")], commit_message="loses", parent_commit=parent)
    assert caught.value.response.status_code == 412


def test_large_files_lie_beside_git(api, namespace, tmp_path):
    name, content = f"{namespace}/large", os.urandom(12_000_000)
    api.create_repo(name)
    api.upload_file(path_or_fileobj=content, path_in_repo="weights.bin", repo_id=name)
    (file,) = [entry for entry in api.list_repo_tree(name) if entry.path == "weights.bin"]
    assert (file.size, file.lfs.size) == (len(content), len(content))
    assert Path(api.hf_hub_download(name, "weights.bin", local_dir=tmp_path)).read_bytes() == content


def test_tags_branches_and_missing_things(api, namespace):
    name = f"{namespace}/refs"
    api.create_repo(name)
    api.create_tag(name, tag="v1")
    api.create_branch(name, branch="draft")
    refs = api.list_repo_refs(name)
    assert [tag.name for tag in refs.tags] == ["v1"]
    assert {branch.name for branch in refs.branches} == {"main", "draft"}
    assert api.model_info(name, revision="v1").sha == api.model_info(name).sha
    with pytest.raises(EntryNotFoundError):
        api.hf_hub_download(name, "nothing.txt")
    with pytest.raises(RevisionNotFoundError):
        api.hf_hub_download(name, "README.md", revision="nowhere")
    with pytest.raises(RepositoryNotFoundError):
        api.model_info(f"{namespace}/none")
    api.delete_repo(name)
    assert not api.repo_exists(name)


def test_datasets_push_and_load(api, namespace):
    from datasets import Dataset, load_dataset

    Dataset.from_dict({"line": ["Where?", "Here."]}).push_to_hub(f"{namespace}/lines")
    assert load_dataset(f"{namespace}/lines", split="train")["line"] == ["Where?", "Here."]


def test_transformers_push_and_pull(api, namespace, starter):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    name = f"{namespace}/model"
    AutoModelForCausalLM.from_pretrained(starter).push_to_hub(name)
    AutoTokenizer.from_pretrained(starter).push_to_hub(name)
    assert AutoModelForCausalLM.from_pretrained(name).num_parameters() == 15_740_288
    assert AutoTokenizer.from_pretrained(name).vocab_size == 8192


def test_ranges_and_pages(api, namespace, hub_url):
    name = f"{namespace}/pages"
    api.create_repo(name)
    api.upload_file(path_or_fileobj=b"# <b>Hello</b>", path_in_repo="README.md", repo_id=name)
    part = httpx2.get(f"{hub_url}/{name}/resolve/main/README.md", headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"<b>")
    page = httpx2.get(f"{hub_url}/{name}").text
    assert "&lt;b&gt;Hello" in page
    assert name in httpx2.get(hub_url).text


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", ".git/config", "a\\..\\x"])
def test_no_path_leaves_a_repository(hub_url, namespace, path):
    HfApi().create_repo(f"{namespace}/paths", exist_ok=True)
    lines = [
        {"key": "header", "value": {"summary": "x"}},
        {"key": "file", "value": {"path": path, "content": "eA==", "encoding": "base64"}},
    ]
    answer = httpx2.post(
        f"{hub_url}/api/models/{namespace}/paths/commit/main",
        content="\n".join(map(json.dumps, lines)),
        headers={"Authorization": f"Bearer {os.environ['HF_TOKEN']}"},
    )
    assert answer.status_code == 400
    assert answer.headers["X-Error-Code"] == "InvalidPath"


def test_writes_need_the_token(hub_url, namespace):
    for token in (None, "hf_wrong"):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = httpx2.post(
            f"{hub_url}/api/repos/create", json={"name": "x", "organization": namespace}, headers=headers
        )
        assert answer.status_code == 401
    assert httpx2.put(f"{hub_url}/large/{'0' * 64}?signature=wrong", content=b"x").status_code == 403


def test_bad_requests_are_refused_not_crashed(hub_url, namespace):
    headers = {"Authorization": f"Bearer {os.environ['HF_TOKEN']}"}
    HfApi().create_repo(f"{namespace}/bad", exist_ok=True)
    for body in (b"not json", b'{"key":"file"}', b'{"key":"dance","value":{}}', b'{"key":"file","value":{"path":"x"}}'):
        answer = httpx2.post(f"{hub_url}/api/models/{namespace}/bad/commit/main", content=body, headers=headers)
        assert answer.status_code == 400, body
    assert HfApi().list_repo_files(f"{namespace}/bad") == [".gitattributes"]


def test_killed_while_clients_push_it_comes_back_whole(tmp_path):
    """Every acknowledged commit is there afterwards, with its content; nothing else is half there."""
    port, data = free_port(), tmp_path / "hub"
    pushes = """
import sys
from huggingface_hub import CommitOperationAdd, HfApi
api = HfApi()
api.create_repo("k/repo", exist_ok=True)
for number in range(int(sys.argv[1]), 10_000):
    content = str(number).encode() * (1 + number % 7 * 20_000)
    api.create_commit("k/repo", [CommitOperationAdd(f"f{number}", content)], commit_message=str(number))
    print(number, flush=True)
"""
    acknowledged: list[int] = []
    url = f"http://127.0.0.1:{port}"
    environment = os.environ | client_environment(url, data) | {"HF_TOKEN": ""}
    rounds = 20 if os.environ.get("REPARTEE_PROOF") else 3
    for _ in range(rounds):
        server = subprocess.Popen(
            [sys.executable, "-m", "hub.local", "serve", "--quiet", "--data", str(data), "--port", str(port)]
        )
        from hub.local import token_of, wait_for

        wait_for(port, server)
        environment["HF_TOKEN"] = token_of(data)
        start = acknowledged[-1] + 2 if acknowledged else 0
        client = subprocess.Popen(
            [sys.executable, "-c", pushes, str(start)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert client.stdout
        for line in client.stdout:
            acknowledged.append(int(line))
            if len(acknowledged) % 12 == 0:
                server.send_signal(signal.SIGKILL)
                client.kill()
                break
        server.wait()
        client.communicate()
    with running(data, port):
        check = """
from huggingface_hub import HfApi
import httpx2, os
api = HfApi()
for path in api.list_repo_files("k/repo"):
    print(path, len(httpx2.get(os.environ["HF_ENDPOINT"] + f"/k/repo/resolve/main/{path}").content))
"""
        done = subprocess.run(
            [sys.executable, "-c", check], env=environment, capture_output=True, text=True, check=True
        )
    sizes = dict(line.split() for line in done.stdout.splitlines())
    for number in acknowledged:
        assert int(sizes[f"f{number}"]) == len(str(number)) * (1 + number % 7 * 20_000)


def test_a_taken_port_is_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "hub.local", "serve", "--port", port, "--data", str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert port in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_run_hands_on_the_status_of_its_command(tmp_path):
    command = [sys.executable, "-m", "hub.local", "run", "--data", str(tmp_path), "--"]
    code = "import os, sys; assert os.environ['HF_TOKEN'] and os.environ['HF_HUB_DISABLE_XET']; sys.exit(7)"
    environment = {key: value for key, value in os.environ.items() if key != "HF_TOKEN"}
    assert subprocess.run([*command, sys.executable, "-c", code], env=environment, check=False).returncode == 7
    missing = subprocess.run([*command, "no-such-command"], capture_output=True, text=True, check=False)
    assert missing.returncode == 1
    assert "no such command" in missing.stderr
