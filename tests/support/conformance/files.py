"""Rows of huggingface_hub about files: commits and listings."""

import hashlib
import os
from pathlib import Path

import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    hf_hub_download,
)
from huggingface_hub.errors import BadRequestError, EntryNotFoundError, HfHubHTTPError

from tests.support.conformance import LARGE, Hub, row

HFAPI = "huggingface_hub"


@row(HFAPI, "HfApi.create_commit", "additions, deletions of files and folders, copies, in one commit")
def create_commit(hub: Hub):
    name = hub.repo(a_txt="1", d__b_txt="2", d__c_txt="3", e_txt="4")
    operations = [
        CommitOperationAdd("f.txt", b"5"),
        CommitOperationDelete("d/"),
        CommitOperationDelete("e.txt"),
        CommitOperationCopy("a.txt", "g/a.txt"),
    ]
    made = hub.api.create_commit(name, operations, commit_message="all", commit_description="why")
    assert hub.api.model_info(name).sha == made.oid
    assert set(hub.api.list_repo_files(name)) == {".gitattributes", "a.txt", "f.txt", "g/a.txt"}


@row(HFAPI, "HfApi.create_commit(parent_commit=)", "412 where the branch has moved")
def parent_commit(hub: Hub):
    name = hub.repo()
    head = hub.api.model_info(name).sha
    hub.api.create_commit(name, [CommitOperationAdd("a", b"1")], commit_message="m", parent_commit=head)
    with pytest.raises(HfHubHTTPError) as caught:
        hub.api.create_commit(name, [CommitOperationAdd("a", b"2")], commit_message="m", parent_commit=head)
    assert caught.value.response.status_code == 412


@row(HFAPI, "HfApi.create_commit(create_pr=True)", "400 that says there are no pull requests; nothing is committed")
def create_pr(hub: Hub):
    name = hub.repo()
    with pytest.raises(BadRequestError, match="no pull requests"):
        hub.api.create_commit(name, [CommitOperationAdd("a", b"1")], commit_message="m", create_pr=True)
    assert hub.api.list_repo_files(name) == [".gitattributes"]


@row(HFAPI, "CommitOperationCopy", "regular and large files, also from an older revision")
def copies(hub: Hub):
    name = hub.repo(a_bin=b"old", b_txt="old")
    old = hub.api.model_info(name).sha
    for path in ("a.bin", "b.txt"):
        hub.api.upload_file(path_or_fileobj=b"new", path_in_repo=path, repo_id=name)
    copies = [CommitOperationCopy(path, f"copy/{path}", src_revision=old) for path in ("a.bin", "b.txt")]
    hub.api.create_commit(name, copies, commit_message="copy")
    for path in ("a.bin", "b.txt"):
        assert Path(hf_hub_download(name, f"copy/{path}")).read_bytes() == b"old"
        assert Path(hf_hub_download(name, path)).read_bytes() == b"new"


@row(HFAPI, "HfApi.upload_file", "regular content and, above 10 MB, by LFS; the same again makes no commit")
def upload_file(hub: Hub):
    name, content = hub.repo(), os.urandom(LARGE)
    for path, bytes in (("a.txt", b"1"), ("large", content)):
        first = hub.api.upload_file(path_or_fileobj=bytes, path_in_repo=path, repo_id=name).oid
        assert hub.api.upload_file(path_or_fileobj=bytes, path_in_repo=path, repo_id=name).oid == first
    (large,) = hub.api.get_paths_info(name, "large")
    assert (large.size, large.lfs.sha256) == (LARGE, hashlib.sha256(content).hexdigest())


@row(HFAPI, "HfApi.upload_folder", "patterns, deletions and a message; 120 files in one commit")
def upload_folder(hub: Hub):
    name = hub.repo(old__x_txt="1")
    for number in range(120):
        path = hub.tmp / "folder" / f"d{number % 7}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
    (hub.tmp / "folder/no.log").write_text("no")
    hub.api.upload_folder(
        repo_id=name, folder_path=hub.tmp / "folder", ignore_patterns="*.log", delete_patterns="old/*"
    )
    assert len(hub.api.list_repo_files(name)) == 121
    assert len(hub.api.list_repo_commits(name)) == 3


@row(HFAPI, "HfApi.upload_folder (.gitignore)", "what the folder's .gitignore names is left out")
def gitignore(hub: Hub):
    name, folder = hub.repo(), hub.tmp / "ignoring"
    for path, content in ((".gitignore", "*.log\nsecret/\n"), ("a.txt", "1"), ("b.log", "2"), ("secret/c.txt", "3")):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    hub.api.upload_folder(repo_id=name, folder_path=folder)
    assert set(hub.api.list_repo_files(name)) == {".gitattributes", ".gitignore", "a.txt"}


@row(HFAPI, "CommitOperationDelete(is_folder=True)", "a folder with and without its slash")
def delete_folders(hub: Hub):
    name = hub.repo(d__a_txt="1", d__e__b_txt="2", f__c_txt="3", g_txt="4")
    gone = [CommitOperationDelete("d", is_folder=True), CommitOperationDelete("f/")]
    hub.api.create_commit(name, gone, commit_message="m")
    assert set(hub.api.list_repo_files(name)) == {".gitattributes", "g.txt"}


@row(HFAPI, "HfApi.preupload_lfs_files", "sent ahead, committed later")
def preupload(hub: Hub):
    name, addition = hub.repo(), CommitOperationAdd("a.bin", b"12345")
    hub.api.preupload_lfs_files(name, [addition])
    hub.api.create_commit(name, [addition], commit_message="m")
    assert Path(hf_hub_download(name, "a.bin")).read_bytes() == b"12345"


@row(HFAPI, "HfApi.delete_file, delete_folder, delete_files", "and 404 for what is not there")
def delete_files(hub: Hub):
    name = hub.repo(a_txt="1", d__b_txt="2", x_log="3", y_log="4", z_txt="5")
    hub.api.delete_file("a.txt", name)
    hub.api.delete_folder("d", name)
    hub.api.delete_files(name, ["*.log"])
    assert set(hub.api.list_repo_files(name)) == {".gitattributes", "z.txt"}
    with pytest.raises(EntryNotFoundError):
        hub.api.delete_file("a.txt", name)


@row(HFAPI, "HfApi.list_repo_tree", "1,100 entries over pages; recursive, expand, one folder; 404 for none")
def tree(hub: Hub):
    name = hub.repo()
    adds = [CommitOperationAdd(f"d/{number:04}", b"the same") for number in range(1100)]
    hub.api.create_commit(name, adds, commit_message="many")
    listed = [entry.path for entry in hub.api.list_repo_tree(name, "d")]
    assert listed == [f"d/{number:04}" for number in range(1100)]
    assert len(list(hub.api.list_repo_tree(name, recursive=True))) == 1102
    top = {entry.path: entry.last_commit.title for entry in hub.api.list_repo_tree(name, expand=True)}
    assert top == {".gitattributes": "initial commit", "d": "many"}
    with pytest.raises(EntryNotFoundError):
        list(hub.api.list_repo_tree(name, "none"))


@row(
    HFAPI,
    "HfApi.get_paths_info",
    "files, folders, last commits; 1,501 paths at once; nothing for what is not there",
)
def paths_info(hub: Hub):
    name = hub.repo(a_bin=b"123", d__b_txt="2")
    found = {entry.path: entry for entry in hub.api.get_paths_info(name, ["a.bin", "d", "none"], expand=True)}
    assert set(found) == {"a.bin", "d"}
    assert found["a.bin"].last_commit.title == "files"
    many = ["a.bin", *(f"none-{number}" for number in range(1_500))]
    assert [entry.path for entry in hub.api.get_paths_info(name, many)] == ["a.bin"]


@row(HFAPI, "HfApi.list_lfs_files", "every large file of the history")
def lfs_files(hub: Hub):
    name = hub.repo(a_bin=b"1")
    hub.api.upload_file(path_or_fileobj=b"2", path_in_repo="a.bin", repo_id=name)
    assert {file.oid for file in hub.api.list_lfs_files(name)} == {
        hashlib.sha256(content).hexdigest() for content in (b"1", b"2")
    }
