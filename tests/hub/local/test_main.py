"""The local Hub as a process: killed, started twice, started around a command."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import HfApi

from hub.local import NotStarted
from hub.local import running as really_running
from hub.local.tokens import token_of
from tests.support import warm_hub
from tests.support.warm_hub import LOCAL_HUB, running, serving

ROUNDS = 20 if os.environ.get("REPARTEE_PROOF") else 3
RUN = [sys.executable, "-m", "hub.local", "run"]


def content_of(number: int) -> str:
    return str(number) * (1 + number % 7 * 20_000)


def push(client: httpx2.Client, number: int) -> None:
    """One commit of one file, as huggingface_hub sends it, without its retries."""
    lines = [
        {"key": "header", "value": {"summary": str(number)}},
        {"key": "file", "value": {"path": f"f{number}", "content": content_of(number), "encoding": "utf-8"}},
    ]
    client.post("/api/models/k/repo/commit/main", content="\n".join(map(json.dumps, lines))).raise_for_status()


def push_until_it_dies(url: str, token: str, numbers: range, acknowledged: list[int]) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    with httpx2.Client(base_url=url, headers=headers) as client, suppress(httpx2.TransportError):
        for number in numbers:
            push(client, number)
            acknowledged.append(number)


def test_killed_while_clients_push_it_comes_back_whole(tmp_path):
    """Every acknowledged commit is there afterwards, with its content; nothing else is half there."""
    token, acknowledged = token_of(tmp_path), []
    with running(tmp_path) as url:
        HfApi(url, token).create_repo("k/repo")
    for kill in range(ROUNDS):
        with serving(tmp_path) as (server, url):
            clients = [
                threading.Thread(
                    target=push_until_it_dies,
                    args=(
                        url,
                        token,
                        range(kill * 10_000 + client * 1_000, kill * 10_000 + client * 1_000 + 1_000),
                        acknowledged,
                    ),
                )
                for client in range(2)
            ]
            for client in clients:
                client.start()
            start, end = len(acknowledged), time.monotonic() + 60
            while len(acknowledged) < start + 6 and time.monotonic() < end:
                time.sleep(0.01)
            time.sleep(0.013 * kill)  # not in step with the pushes
            server.send_signal(signal.SIGKILL)
            for client in clients:
                client.join()
    assert len(acknowledged) >= 6 * ROUNDS
    with running(tmp_path) as url:
        api = HfApi(url, token)
        history = [int(commit.title) for commit in api.list_repo_commits("k/repo")[:-1]]
        assert sorted(f"f{number}" for number in history) == sorted(
            set(api.list_repo_files("k/repo")) - {".gitattributes"}
        )
        assert set(acknowledged) <= set(history)
        assert len(history) <= len(acknowledged) + 2 * ROUNDS  # at most what each client had just sent
        for number in history:
            assert httpx2.get(f"{url}/k/repo/resolve/main/f{number}").text == content_of(number)
        with httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:
            push(client, 1_000_000)


def test_what_a_kill_leaves_behind_is_cleared(tmp_path):
    """Locks and drafts of a killed server refuse nothing to the next one, and show nowhere."""
    token = token_of(tmp_path)
    with running(tmp_path) as url:
        HfApi(url, token).create_repo("k/repo")
    repo = tmp_path / "models/k/repo.git"
    (repo / "refs/heads/main.lock").write_text("half")
    for folder in list((repo / "objects").iterdir()):
        for thing in list(folder.iterdir()):
            thing.with_name(f"{thing.name}.lock").write_text("half")
    (repo.parent / ".other.git.abc").mkdir()
    (tmp_path / "large/aa").mkdir()
    (tmp_path / "large/aa/.aabb.abc").write_bytes(b"half")
    with running(tmp_path) as url:
        api = HfApi(url, token)
        api.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id="k/repo")
        assert [model.id for model in api.list_models()] == ["k/repo"]
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".lock" or path.name.startswith(".")]


def test_an_upload_cut_by_a_kill_is_not_there(tmp_path):
    token, oid = token_of(tmp_path), "ab" * 32
    batch = {"operation": "upload", "objects": [{"oid": oid, "size": 4_000_000}]}
    headers = {"Authorization": f"Bearer {token}"}

    def slowly(server):
        for _ in range(3):
            yield bytes(1_000_000)
            time.sleep(0.1)
        server.send_signal(signal.SIGKILL)
        yield bytes(1_000_000)

    with serving(tmp_path) as (server, url):
        HfApi(url, token).create_repo("k/repo")
        answer = httpx2.post(f"{url}/k/repo.git/info/lfs/objects/batch", json=batch, headers=headers).json()
        with suppress(httpx2.TransportError):
            httpx2.put(answer["objects"][0]["actions"]["upload"]["href"], content=slowly(server))
    assert list(tmp_path.glob("large/*/.*"))
    with running(tmp_path) as url:
        answer = httpx2.post(f"{url}/k/repo.git/info/lfs/objects/batch", json=batch, headers=headers).json()
        assert "upload" in answer["objects"][0]["actions"]
    assert not list(tmp_path.glob("large/*/.*"))


def refusal(folder: Path, *arguments: object) -> str:
    done = warm_hub.run(LOCAL_HUB, *arguments, folder=folder)
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line


def test_a_taken_port_is_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for verb, command in (("serve", ()), ("run", ("--", "true"))):
            assert f"port {port}" in refusal(tmp_path, verb, "--data", tmp_path, "--port", port, *command)
        with pytest.raises(NotStarted), really_running(tmp_path, port):
            pass


def test_a_folder_has_one_server(tmp_path):
    with running(tmp_path):
        assert str(tmp_path) in refusal(tmp_path, "serve", "--port", 0, "--data", tmp_path)


def test_a_known_token_is_kept_and_private(tmp_path):
    assert token_of(tmp_path) == token_of(tmp_path)
    assert (tmp_path / "tokens.json").stat().st_mode & 0o077 == 0


SHOW = (
    "import os; print(os.environ['HF_ENDPOINT'], os.environ['HF_TOKEN'], os.environ['HF_HUB_DISABLE_XET'], flush=True)"
)


@pytest.mark.parametrize("own", ["", "hf_of_my_own"])
def test_run_gives_its_command_a_hub_to_write_to(tmp_path, own):
    code = "from huggingface_hub import HfApi; print(HfApi().create_repo('me/x').repo_id); raise SystemExit(7)"
    arguments = ["--data", str(tmp_path), "--", sys.executable, "-c", f"{SHOW}; {code}"]
    if own:
        done = warm_hub.run(LOCAL_HUB, "run", *arguments, folder=tmp_path, HF_TOKEN=own)
    else:  # the real command
        environment = os.environ | {"HF_TOKEN": ""}
        done = subprocess.run([*RUN, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    url, token, xet, name = done.stdout.split()
    assert (token, xet, name) == (own or token_of(tmp_path), "1", "me/x")
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(url)


def test_run_says_when_there_is_no_such_command(tmp_path):
    assert "no-such-command" in refusal(tmp_path, "run", "--data", tmp_path, "--", "no-such-command")


def closes(url: str, seconds: float = 30) -> bool:
    """Whether the server at an address goes away in time."""
    end = time.monotonic() + seconds
    with suppress(httpx2.TransportError):
        while time.monotonic() < end:
            httpx2.get(url)
            time.sleep(0.05)
        return False
    return True


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 5), (signal.SIGKILL, -9)])
def test_run_passes_signals_on_and_leaves_no_server(tmp_path, number, status):
    wait = "print(os.getpid(), flush=True)\n    time.sleep(60)"  # who knows the number may send a signal at once
    code = f"{SHOW}\nimport time\ntry:\n    {wait}\nexcept KeyboardInterrupt:\n    raise SystemExit(5)"
    arguments = ["run", "--data", str(tmp_path), "--", sys.executable, "-c", code]
    process = warm_hub.Process(LOCAL_HUB, arguments, tmp_path, {"HF_TOKEN": ""})
    url, child = process.stdout.readline().split()[0], int(process.stdout.readline())
    process.send_signal(number)
    assert process.wait(60) == status
    if number == signal.SIGKILL:  # nobody is left to tell the command; the server finds out by itself
        os.kill(child, signal.SIGTERM)
    process.close()
    assert closes(url)
