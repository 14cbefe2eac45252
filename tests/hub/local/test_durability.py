"""The local Hub killed, again and again, while clients push all kinds of things; and crowded, by 16 of them at once."""

import hashlib
import json
import os
import random
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError

from hub.local.tokens import token_of
from tests.support.warm_hub import running, serving

KILLS = 200 if os.environ.get("REPARTEE_PROOF") else 6
CLIENTS = 3


@dataclass
class Pusher:
    """One client. It knows what was acknowledged, and how often nobody answered."""

    name: str
    token: str
    chance: random.Random
    number: int = 0
    commits: dict[str, list[str]] = field(default_factory=dict)  # acknowledged title -> its paths
    contents: dict[str, bytes] = field(default_factory=dict)  # acknowledged path in `k/shared` -> content
    deleted: set[str] = field(default_factory=set)  # asked to be deleted: may or may not be there
    tags: set[str] = field(default_factory=set)
    repos: set[str] = field(default_factory=set)
    unheard: int = 0

    def push_until_it_dies(self, url: str) -> None:
        headers = {"Authorization": f"Bearer {self.token}"}
        client = httpx2.Client(base_url=url, headers=headers, timeout=60, trust_env=False)
        deeds = (self.small, self.small, self.large, self.tag, self.repository, self.delete)
        with client, suppress(httpx2.TransportError):
            while True:
                self.number += 1
                self.unheard += 1
                self.chance.choice(deeds)(client)
                self.unheard -= 1

    def commit(self, client: httpx2.Client, title: str, operations: list[dict]) -> None:
        lines = [{"key": "header", "value": {"summary": title}}, *operations]
        client.post("/api/models/k/shared/commit/main", content="\n".join(map(json.dumps, lines))).raise_for_status()

    def small(self, client: httpx2.Client) -> None:
        """Three files of mixed sizes in one commit: all of them, or none."""
        title = f"{self.name}-{self.number}"
        made = {f"{title}/{n}": self.chance.choice("abc") * self.chance.choice((1, 500, 90_000)) for n in range(3)}
        files = [{"key": "file", "value": {"path": p, "content": c, "encoding": "utf-8"}} for p, c in made.items()]
        self.commit(client, title, files)
        self.commits[title] = list(made)
        self.contents |= {path: content.encode() for path, content in made.items()}

    def large(self, client: httpx2.Client) -> None:
        """A file beside git, as the LFS clients send it."""
        title, content = f"{self.name}-{self.number}", self.chance.randbytes(self.chance.choice((1_000, 3_000_000)))
        oid, path = hashlib.sha256(content).hexdigest(), f"{title}/w.safetensors"
        wanted = {"operation": "upload", "objects": [{"oid": oid, "size": len(content)}]}
        (answer,) = client.post("/k/shared.git/info/lfs/objects/batch", json=wanted).json()["objects"]
        if "actions" in answer:
            client.put(answer["actions"]["upload"]["href"], content=content).raise_for_status()
        value = {"path": path, "algo": "sha256", "oid": oid, "size": len(content)}
        self.commit(client, title, [{"key": "lfsFile", "value": value}])
        self.commits[title] = [path]
        self.contents[path] = content

    def tag(self, client: httpx2.Client) -> None:
        name = f"t-{self.name}-{self.number}"
        client.post("/api/models/k/shared/tag/main", json={"tag": name}).raise_for_status()
        self.tags.add(name)

    def repository(self, client: httpx2.Client) -> None:
        name = f"{self.name}-{self.number}"
        client.post("/api/repos/create", json={"organization": "k", "name": name}).raise_for_status()
        self.repos.add(f"k/{name}")

    def delete(self, client: httpx2.Client) -> None:
        """A file of an acknowledged commit of one's own."""
        left = [path for path in self.contents if path not in self.deleted]
        if left:
            path = self.chance.choice(left)
            self.deleted.add(path)
            title = f"{self.name}-{self.number}"
            self.commit(client, title, [{"key": "deletedFile", "value": {"path": path}}])
            self.commits[title] = []
            del self.contents[path]


def acknowledged(pushers: list[Pusher]) -> int:
    return sum(len(pusher.commits) for pusher in pushers)


def test_killed_while_all_kinds_of_things_are_pushed_nothing_is_lost_or_half_there(tmp_path):
    token = token_of(tmp_path)
    with running(tmp_path) as url:
        HfApi(url, token).create_repo("k/shared")
    pushers = [Pusher(f"c{n}", token, random.Random(n)) for n in range(CLIENTS)]
    chance = random.Random(99)
    for kill in range(KILLS):
        with serving(tmp_path) as (server, url):
            threads = [threading.Thread(target=pusher.push_until_it_dies, args=[url]) for pusher in pushers]
            for thread in threads:
                thread.start()
            wanted, end = acknowledged(pushers) + (0, 2, 3)[kill % 3], time.monotonic() + 60
            while acknowledged(pushers) < wanted and time.monotonic() < end:
                time.sleep(0.005)
            time.sleep(chance.uniform(0.02, 0.2))  # somewhere in the middle of something
            server.send_signal(signal.SIGKILL)
            for thread in threads:
                thread.join()
    assert acknowledged(pushers) > KILLS
    for repository in tmp_path.glob("models/k/*.git"):
        said = subprocess.run(
            ["git", "-C", str(repository), "fsck", "--full", "--strict"], capture_output=True, text=True, check=False
        )
        assert said.returncode == 0, said.stderr
    with running(tmp_path) as url:
        api = HfApi(url, token)
        history = [commit.title for commit in api.list_repo_commits("k/shared")]
        assert len(history) == len(set(history))
        titles = {title for pusher in pushers for title in pusher.commits}
        assert titles <= set(history)
        assert len(history) - 1 - len(titles) <= sum(pusher.unheard for pusher in pushers)
        files = {file.rfilename: file for file in api.model_info("k/shared", files_metadata=True).siblings}
        asked = {path for pusher in pushers for path in pusher.deleted}
        whole = [path for pusher in pushers for paths in pusher.commits.values() for path in paths]
        assert {path for path in whole if path not in asked} <= set(files)
        for title in {path.split("/")[0] for path in files if path[0] == "c"} - titles:  # unheard, but there
            its = {path for path in files if path.startswith(f"{title}/")} | {
                p for p in asked if p.startswith(f"{title}/")
            }
            assert len(its) in (1, 3), its
        with httpx2.Client(base_url=url, trust_env=False) as client:
            for pusher in pushers:
                for path, content in pusher.contents.items():
                    if path not in asked:
                        assert client.get(f"/k/shared/resolve/main/{path}").content == content, path
        for file in files.values():
            if file.lfs:
                stored = tmp_path / "large" / file.lfs.sha256[:2] / file.lfs.sha256
                assert hashlib.sha256(stored.read_bytes()).hexdigest() == file.lfs.sha256
        tags = {tag.name for tag in api.list_repo_refs("k/shared").tags}
        assert {tag for pusher in pushers for tag in pusher.tags} <= tags
        repos = {model.id for model in api.list_models(author="k")}
        assert {repo for pusher in pushers for repo in pusher.repos} <= repos
        for repo in repos:
            assert api.model_info(repo).sha
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".lock" or path.name.startswith(".")]


@pytest.mark.parametrize("careful", [False, True])
def test_sixteen_clients_make_one_line_of_history(hub_url, namespace, careful):
    """With a parent, a commit that comes second is refused and made again; without one it goes on top."""
    repo, each, refused = f"{namespace}/crowd", 3, []
    HfApi().create_repo(repo)

    def client(number: int) -> None:
        api = HfApi()
        for turn in range(each):
            path = f"{number}-{turn}"
            while True:
                parent = api.model_info(repo).sha if careful else None
                addition = [CommitOperationAdd(path, path.encode())]
                try:
                    api.create_commit(repo, addition, commit_message=path, parent_commit=parent)
                    break
                except HfHubHTTPError as error:
                    refused.append(error.response.status_code)

    threads = [threading.Thread(target=client, args=[number]) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(refused) <= ({412} if careful else set())
    titles = [commit.title for commit in HfApi().list_repo_commits(repo)]
    assert sorted(titles[:-1]) == sorted(f"{number}-{turn}" for number in range(16) for turn in range(each))
    assert len(HfApi().list_repo_files(repo)) == 1 + 16 * each
