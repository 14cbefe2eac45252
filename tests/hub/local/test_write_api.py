"""Commits to the local Hub over real HTTP, by clients that we did not write."""

import base64
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
        api.delete_file("e", repo)
    with pytest.raises(BadRequestError):
        api.create_commit(repo, [add("c/a", b"under a file")], commit_message="clash")
    assert api.model_info(repo).sha == head
    api.delete_folder("d", repo)
    assert set(api.list_repo_files(repo)) == {".gitattributes", "c"}


def create(hub_url, name, **body):
    return post(f"{hub_url}/api/repos/create", json={"organization": name.split("/")[0], "name": "made", **body})


def test_a_repository_begins_with_its_license_and_files(api, namespace, hub_url):
    text = base64.b64encode(b"print(1)").decode()
    files = [{"encoding": "base64", "path": "src/a.py", "content": text}]
    assert create(hub_url, namespace, type="dataset", license="mit", files=files).status_code == 200
    name = f"{namespace}/made"
    assert set(api.list_repo_files(name, repo_type="dataset")) == {".gitattributes", "README.md", "src/a.py"}
    assert api.dataset_info(name).card_data.license == "mit"
    assert Path(api.hf_hub_download(name, "src/a.py", repo_type="dataset")).read_bytes() == b"print(1)"
    assert [commit.title for commit in api.list_repo_commits(name, repo_type="dataset")] == ["initial commit"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"license": "beerware"}, '"license" must be one of'),
        ({"files": [{"path": "a"}]}, "cannot be read"),
        ({"files": [{"encoding": "base64", "path": "../a", "content": ""}]}, "not a path"),
        ({"files": 3}, "cannot be read"),
    ],
)
def test_what_a_repository_cannot_begin_with_makes_none(api, namespace, hub_url, body, says):
    answer = create(hub_url, namespace, **body)
    assert answer.status_code in (400, 422)
    assert says in answer.json()["error"]
    assert not api.repo_exists(f"{namespace}/made")


def test_a_space_begins_with_a_readme(api, namespace):
    name = f"{namespace}/my_first-space"
    api.create_repo(name, repo_type="space", space_sdk="gradio")
    card = api.space_info(name).card_data
    assert (card.title, card.sdk, card.pinned) == ("My First Space", "gradio", False)
    assert card["app_file"] == "app.py"


def test_a_branch_without_files_and_one_that_is_moved(api, repo, hub_url):
    def branch(name, **body):
        return post(f"{hub_url}/api/models/{repo}/branch/{name}", json=body).status_code

    def files(name):
        return set(api.list_repo_files(repo, revision=name))

    first = api.create_commit(repo, [add("a", b"1")], commit_message="a").oid
    assert (branch("x"), branch("x"), branch("empty", emptyBranch=True)) == (201, 409, 201)
    assert (files("x"), files("empty")) == ({".gitattributes", "a"}, set())
    api.create_commit(repo, [add("b", b"2")], commit_message="b")
    assert (branch("x", overwrite=True), files("x")) == (201, {".gitattributes", "a"})  # to nowhere: as it is
    assert (branch("x", overwrite=True, startingPoint="main"), files("x")) == (201, {".gitattributes", "a", "b"})
    assert (branch("x", overwrite=True, emptyBranch=True), files("x")) == (201, set())
    assert (branch("x", overwrite=True, startingPoint=first), files("x")) == (201, {".gitattributes", "a"})
    api.create_commit(repo, [add("c", b"3")], commit_message="c", revision="empty")
    assert files("empty") == {"c"}


def test_the_repositorys_gitignore_counts_where_the_client_sends_none(api, repo, tmp_path):
    api.create_commit(repo, [add(".gitignore", b"logs/\n*.tmp\n")], commit_message="ignore")
    for path in ("a.txt", "b.tmp", "logs/c.txt"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("x")
    api.upload_folder(repo_id=repo, folder_path=tmp_path)
    assert set(api.list_repo_files(repo)) == {".gitattributes", ".gitignore", "a.txt"}


def test_a_folder_is_deleted_without_its_slash(api, repo):
    api.create_commit(repo, [add("d/a", b"1"), add("d/e/b", b"2"), add("dd", b"3")], commit_message="three")
    api.create_commit(repo, [CommitOperationDelete("d")], commit_message="gone")
    assert set(api.list_repo_files(repo)) == {".gitattributes", "dd"}
