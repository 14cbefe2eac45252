"""Rows of the `hf` command."""

import json
import os
import sys
from pathlib import Path

from tests.support.conformance import Hub, row


@row("hf", "hf auth whoami", "the user of the token")
def whoami(hub: Hub):
    assert "repartee" in hub.run(Path(sys.executable).with_name("hf"), "auth", "whoami")  # the real command, once
    assert "repartee" in hub.hf("auth", "whoami")


@row("hf", "hf repos create, settings, delete", "a private Space, made public, deleted")
def repos(hub: Hub):
    name = f"{hub.namespace}/x"
    hub.hf("repos", "create", name, "--type", "space", "--sdk", "gradio", "--private")
    assert hub.api.space_info(name).private
    hub.hf("repos", "settings", name, "--type", "space", "--public")
    assert not hub.api.space_info(name).private
    hub.hf("repos", "delete", name, "--type", "space", "--yes")
    assert not hub.api.repo_exists(name, repo_type="space")


@row("hf", "hf repos move, duplicate", "the same commit under three names")
def move(hub: Hub):
    name = hub.repo(a_txt="1")
    hub.hf("repos", "duplicate", name, f"{hub.namespace}/copy")
    hub.hf("repos", "move", name, f"{hub.namespace}/moved")
    assert hub.api.model_info(f"{hub.namespace}/copy").sha == hub.api.model_info(f"{hub.namespace}/moved").sha


@row("hf", "hf repos branch, hf repos tag", "made and listed")
def refs(hub: Hub):
    name = hub.repo()
    hub.hf("repos", "branch", "create", name, "draft")
    hub.hf("repos", "tag", "create", name, "v1", "-m", "first")
    assert "v1" in hub.hf("repos", "tag", "list", name)
    assert {branch.name for branch in hub.api.list_repo_refs(name).branches} == {"main", "draft"}


@row("hf", "hf upload", "a folder with a large file, and one file to a branch")
def upload(hub: Hub):
    name, folder = hub.repo(), hub.tmp / "folder"
    (folder / "d").mkdir(parents=True)
    (folder / "d/a.txt").write_text("1")
    (folder / "b.bin").write_bytes(os.urandom(11_000_000))
    hub.hf("upload", name, folder, ".", "--commit-message", "by hf")
    assert set(hub.api.list_repo_files(name)) == {".gitattributes", "d/a.txt", "b.bin"}
    assert hub.api.list_repo_commits(name)[0].title == "by hf"


@row("hf", "hf download", "whole, and by pattern at a revision")
def download(hub: Hub):
    name = hub.repo("dataset", a_txt="1", b_bin=b"2")
    hub.hf("download", name, "--repo-type", "dataset", "--local-dir", hub.tmp / "x")
    assert (hub.tmp / "x/b.bin").read_bytes() == b"2"
    hub.hf("download", name, "a.txt", "--repo-type", "dataset", "--revision", "main", "--local-dir", hub.tmp / "y")
    assert not (hub.tmp / "y/b.bin").exists()


@row("hf", "hf repos delete-files", "by pattern")
def delete_files(hub: Hub):
    name = hub.repo(a_txt="1", b_log="2")
    hub.hf("repos", "delete-files", name, "*.log")
    assert set(hub.api.list_repo_files(name)) == {".gitattributes", "a.txt"}


@row("hf", "hf models list, hf datasets list, hf spaces list", "by author, as JSON")
def listing(hub: Hub):
    for type in ("model", "dataset", "space"):
        name = hub.repo(type)
        listed = json.loads(hub.hf(f"{type}s", "list", "--author", hub.namespace, "--format", "json"))
        assert [found["id"] for found in listed] == [name]


@row("hf", "hf models info, card", "sha and text")
def info(hub: Hub):
    name = hub.repo(README_md="---\nlicense: mit\n---\nOf films.")
    assert hub.api.model_info(name).sha in hub.hf("models", "info", name, "--format", "json")
    assert "Of films." in hub.hf("models", "card", name)


@row("hf", "hf cp", "up from a file and down again, by hf:// address")
def copy(hub: Hub):
    name = hub.repo()
    (hub.tmp / "a.txt").write_text("copied")
    hub.hf("cp", hub.tmp / "a.txt", f"hf://{name}/d/a.txt")
    hub.hf("cp", f"hf://{name}/d/a.txt", hub.tmp / "b.txt")
    assert (hub.tmp / "b.txt").read_text() == "copied"


@row("hf", "hf collections create, add-item, info", "with a note")
def collections(hub: Hub):
    name = hub.repo()
    slug = json.loads(hub.hf("collections", "create", "C", "--namespace", hub.namespace, "--format", "json"))["slug"]
    hub.hf("collections", "add-item", slug, name, "model", "--note", "the first")
    assert [item.note for item in hub.api.get_collection(slug).items] == ["the first"]
    assert name in hub.hf("collections", "info", slug, "--format", "json")


@row("hf", "hf spaces secrets, variables", "added; a secret's value is printed by nothing")
def space_settings(hub: Hub):
    name = hub.repo("space")
    hub.hf("spaces", "secrets", "add", name, "-s", "KEY=hf_of_nobody")
    hub.hf("spaces", "variables", "add", name, "-e", "COLOUR=blue")
    said = hub.hf("spaces", "secrets", "list", name, "--format", "json")
    assert ("KEY" in said, "hf_of_nobody" in said) == (True, False)
    assert "blue" in hub.hf("spaces", "variables", "list", name, "--format", "json")


@row("hf", "hf spaces pause, restart, info", "the stage follows")
def space_stage(hub: Hub):
    name = hub.repo("space")
    hub.hf("spaces", "pause", name)
    assert "PAUSED" in hub.hf("spaces", "info", name, "--format", "json")
    hub.hf("spaces", "restart", name)
    assert hub.api.get_space_runtime(name).stage == "NO_APP_FILE"


@row("hf", "hf cache verify", "a download against the listing")
def verify(hub: Hub):
    name = hub.repo(a_txt="1", b_bin=b"2")
    hub.hf("download", name, "--local-dir", hub.tmp / "x")
    hub.hf("cache", "verify", name, "--local-dir", hub.tmp / "x")
