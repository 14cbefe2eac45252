"""Rows of git with git-lfs, and of plain HTTP."""

import os
import shutil
from pathlib import Path

import httpx2
import pytest

from tests.support.conformance import Hub, row


def git(hub: Hub, *command: str | Path) -> str:
    return hub.run("git", *command, HOME=str(hub.tmp), GIT_CONFIG_NOSYSTEM="1")


def lfs(hub: Hub) -> None:
    """Sets git-lfs up in the home of this row alone."""
    if not shutil.which("git-lfs"):
        pytest.skip("git-lfs is not installed (apt-get install git-lfs)")
    git(hub, "lfs", "install")


@row("git", "git clone (git-lfs)", "history, tags and content; large files are fetched by git-lfs")
def clone(hub: Hub):
    large = os.urandom(11_000_000)
    name = hub.repo("dataset", a_txt="1", d__b_bin=large)
    for path in ("d/no ending", "odd [1]*.x"):
        hub.api.upload_file(path_or_fileobj=large, path_in_repo=path, repo_id=name, repo_type="dataset")
    hub.api.create_tag(name, tag="v1", repo_type="dataset")
    lfs(hub)
    git(hub, "clone", "-q", f"{hub.url}/datasets/{name}", "whole")
    for path in ("d/b.bin", "d/no ending", "odd [1]*.x"):  # whatever its name is
        assert (hub.tmp / "whole" / path).read_bytes() == large
    assert git(hub, "-C", "whole", "log", "--format=%s").split("\n")[2:] == ["files", "initial commit", ""]
    assert git(hub, "-C", "whole", "tag").strip() == "v1"
    assert git(hub, "-C", "whole", "status", "--porcelain") == ""
    git(hub, "-C", "whole", "fsck", "--strict")


@row("git", "git clone (no git-lfs), --depth 1, --branch", "the pointer that git-lfs describes; one commit of a branch")
def pointer(hub: Hub):
    name = hub.repo(b_bin=b"12345")
    hub.api.create_branch(name, branch="draft")
    hub.api.upload_file(path_or_fileobj=b"1", path_in_repo="only-here", repo_id=name, revision="draft")
    git(hub, "clone", "-q", "--depth", "1", "--branch", "draft", f"{hub.url}/{name}.git", "shallow")
    assert (hub.tmp / "shallow/b.bin").read_text().startswith("version https://git-lfs.github.com/spec/v1\n")
    assert (hub.tmp / "shallow/only-here").exists()
    assert git(hub, "-C", "shallow", "rev-list", "--count", "HEAD").strip() == "1"


@row("git", "git pull, git ls-remote", "what was committed meanwhile")
def pull(hub: Hub):
    name = hub.repo(a_txt="1")
    git(hub, "clone", "-q", f"{hub.url}/{name}", "x")
    sha = hub.api.upload_file(path_or_fileobj=b"2", path_in_repo="a.txt", repo_id=name).oid
    git(hub, "-C", "x", "pull", "-q")
    assert (hub.tmp / "x/a.txt").read_text() == "2"
    assert sha in git(hub, "ls-remote", f"{hub.url}/{name}", "main")


@row("git", "git clone of a private repository", "with the token as password; without it git is asked for one")
def clone_private(hub: Hub):
    name = hub.repo(a_txt="1", b_bin=b"23")
    hub.api.update_repo_settings(name, private=True)
    lfs(hub)
    with pytest.raises(AssertionError, match=r"could not read Username|terminal prompts disabled"):
        git(hub, "clone", "-q", f"{hub.url}/{name}", "no")
    git(hub, "clone", "-q", f"{hub.url.replace('//', f'//user:{hub.token}@')}/{name}", "yes")
    assert (hub.tmp / "yes/b.bin").read_bytes() == b"23"


@row("git", "git push", "refused, with the way to commit")
def push(hub: Hub):
    name = hub.repo(a_txt="1")
    git(hub, "clone", "-q", f"{hub.url}/{name}", "x")
    with pytest.raises(AssertionError, match="403"):
        git(hub, "-C", "x", "push", f"{hub.url.replace('//', f'//user:{hub.token}@')}/{name}", "main:new")


# ---- plain HTTP


@row(
    "curl",
    "GET /resolve, /raw; HEAD",
    "ranges, pointers; X-Request-Id and X-Error-Code on errors",
)
def plain(hub: Hub):
    name = hub.repo(b_bin=b"12345")
    assert httpx2.get(f"{hub.url}/{name}/resolve/main/b.bin", headers={"Range": "bytes=1-2"}).content == b"23"
    assert httpx2.get(f"{hub.url}/{name}/raw/main/b.bin").text.startswith("version https://git-lfs")
    assert httpx2.head(f"{hub.url}/{name}/resolve/main/b.bin").headers["X-Linked-Size"] == "5"
    missing = httpx2.get(f"{hub.url}/{name}/resolve/main/none")
    assert (missing.status_code, missing.headers["X-Error-Code"]) == (404, "EntryNotFound")
    assert missing.headers["X-Request-Id"]
