"""Commits to the local Hub over real HTTP, by clients that we did not write."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationCopy, CommitOperationDelete
from huggingface_hub.errors import BadRequestError, EntryNotFoundError, HfHubHTTPError

from tests.support.hub_http import add, post


def test_commit_read_and_history(api, repo):
    first = api.create_commit(repo, [add("a/b.txt", b"one"), add("c.txt", b"two")], commit_message="first")
    second = api.create_commit(
        repo,
        [CommitOperationDelete("c.txt"), CommitOperationCopy("a/b.txt", "d.txt")],
        commit_message="second",
        commit_description="and why",
        parent_commit=first.oid,
    )
    assert set(api.list_repo_files(repo)) == {".gitattributes", "a/b.txt", "d.txt"}
    assert set(api.list_repo_files(repo, revision=first.oid)) == {".gitattributes", "a/b.txt", "c.txt"}
    assert Path(api.hf_hub_download(repo, "d.txt")).read_bytes() == b"one"
    history = api.list_repo_commits(repo)
    assert [commit.title for commit in history] == ["second", "first", "initial commit"]
    assert history[0].message == "and why"
    assert api.model_info(repo).sha == second.oid
    with pytest.raises(HfHubHTTPError) as caught:
        api.create_repo(repo)
    assert caught.value.response.status_code == 409
    assert api.create_repo(repo, exist_ok=True).repo_id == repo


def test_copies_of_an_older_revision(api, repo, hub_url):
    """As the HTTP API has it; huggingface_hub sends the content itself."""
    old = api.create_commit(repo, [add("a", b"old")], commit_message="old").oid
    api.create_commit(repo, [add("a", b"new")], commit_message="new")
    for source, revision, status in (("a", old, 200), ("b", old, 404), ("a", "none", 404)):
        line = {"key": "copyFile", "value": {"path": "copy", "srcPath": source, "srcRevision": revision}}
        assert post(f"{hub_url}/api/models/{repo}/commit/main", content=json.dumps(line)).status_code == status
    assert Path(api.hf_hub_download(repo, "copy")).read_bytes() == b"old"


def test_a_stale_parent_is_refused(api, repo):
    parent = api.model_info(repo).sha
    wins = api.create_commit(repo, [add("a", b"1")], commit_message="wins", parent_commit=parent)
    with pytest.raises(HfHubHTTPError) as caught:
        api.create_commit(repo, [add("a", b"2")], commit_message="loses", parent_commit=parent)
    assert caught.value.response.status_code == 412
    assert api.model_info(repo).sha == wins.oid


def test_commits_at_once_all_land(api, repo):
    def push(number):
        return api.create_commit(repo, [add(f"f{number}", b"x")], commit_message=str(number)).oid

    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(push, range(16)))
    history = api.list_repo_commits(repo)
    assert {commit.commit_id for commit in history[:-1]} == made
    assert len(api.list_repo_files(repo)) == 17


def test_nothing_is_deleted_that_is_not_there(api, repo):
    api.create_commit(repo, [add("d/a", b"1"), add("d/e/b", b"2"), add("c", b"3")], commit_message="three")
    head = api.model_info(repo).sha
    with pytest.raises(EntryNotFoundError):
        api.delete_file("d", repo)
    with pytest.raises(BadRequestError):
        api.create_commit(repo, [add("c/a", b"under a file")], commit_message="clash")
    assert api.model_info(repo).sha == head
    api.delete_folder("d", repo)
    assert set(api.list_repo_files(repo)) == {".gitattributes", "c"}
