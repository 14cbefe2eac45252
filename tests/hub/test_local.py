"""The local Hub over real HTTP, asked by clients that we did not write."""

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi
from huggingface_hub.errors import (
    BadRequestError,
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)


@pytest.fixture
def api(hub_url):
    return HfApi()


@pytest.fixture
def repo(api, namespace):
    name = f"{namespace}/repo"
    api.create_repo(name)
    return name


def add(path, content):
    return CommitOperationAdd(path, content)


def post(url, **options):
    headers = {"Authorization": f"Bearer {os.environ['HF_TOKEN']}"}
    return httpx2.post(url, headers=headers, **options)


# ---- commits


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


def test_listings_say_who_changed_what(api, repo):
    one = api.create_commit(repo, [add("d/a", b"1"), add("d/b", b"1")], commit_message="one").oid
    two = api.create_commit(repo, [add("d/b", b"2")], commit_message="two").oid
    found = {entry.path: entry for entry in api.list_repo_tree(repo, recursive=True, expand=True)}
    assert {path: entry.last_commit.oid for path, entry in found.items() if path.startswith("d")} == {
        "d": two,
        "d/a": one,
        "d/b": two,
    }
    assert found["d/a"].blob_id == hashlib.sha1(b"blob 1\x001").hexdigest()
    assert [entry.path for entry in api.list_repo_tree(repo, "d")] == ["d/a", "d/b"]
    assert [entry.path for entry in api.get_paths_info(repo, ["d/a", "d", "none"])] == ["d", "d/a"]


def test_large_files_lie_beside_git(api, repo, hub_url, tmp_path):
    content = os.urandom(12_000_000)
    api.upload_file(path_or_fileobj=content, path_in_repo="weights.data", repo_id=repo)
    api.create_commit(repo, [CommitOperationCopy("weights.data", "copy")], commit_message="copy")
    files = {file.path: file for file in api.list_repo_tree(repo)}
    assert files["weights.data"].lfs.sha256 == files["copy"].lfs.sha256 == hashlib.sha256(content).hexdigest()
    assert files["copy"].size == len(content)
    assert Path(api.hf_hub_download(repo, "copy", local_dir=tmp_path)).read_bytes() == content
    part = httpx2.get(f"{hub_url}/{repo}/resolve/main/copy", headers={"Range": "bytes=5000000-5000009"})
    assert (part.status_code, part.content) == (206, content[5_000_000:5_000_010])


def test_a_large_file_is_the_one_that_its_name_says(repo, hub_url):
    oid = hashlib.sha256(b"right").hexdigest()
    batch = {"operation": "upload", "objects": [{"oid": oid, "size": 5}]}
    address = f"{hub_url}/{repo}.git/info/lfs/objects/batch"
    (wanted,) = post(address, json=batch).json()["objects"]
    assert httpx2.put(f"{hub_url}/large/{oid}?signature=wrong", content=b"right").status_code == 403
    assert httpx2.put(wanted["actions"]["upload"]["href"], content=b"wrong").status_code == 400
    claim = {"key": "lfsFile", "value": {"path": "x", "algo": "sha256", "oid": oid, "size": 5}}
    refused = post(f"{hub_url}/api/models/{repo}/commit/main", content=json.dumps(claim))
    assert (refused.status_code, refused.headers["X-Error-Code"]) == (400, "LfsMissing")
    assert httpx2.put(wanted["actions"]["upload"]["href"], content=b"right").status_code == 200
    assert "actions" not in post(address, json=batch).json()["objects"][0]


def test_tags_branches_and_missing_things(api, repo, namespace):
    api.create_tag(repo, tag="v1")
    api.create_branch(repo, branch="draft/one")
    api.upload_file(path_or_fileobj=b"1", path_in_repo="größe 字.txt", repo_id=repo, revision="draft/one")
    assert Path(api.hf_hub_download(repo, "größe 字.txt", revision="draft/one")).read_bytes() == b"1"
    refs = api.list_repo_refs(repo)
    assert {branch.name for branch in refs.branches} == {"main", "draft/one"}
    head = api.model_info(repo).sha
    assert [tag.target_commit for tag in refs.tags] == [head]
    assert api.model_info(repo, revision="v1").sha == head
    with pytest.raises(HfHubHTTPError) as caught:
        api.create_tag(repo, tag="v1")
    assert caught.value.response.status_code == 409
    api.delete_tag(repo, tag="v1")
    api.delete_branch(repo, branch="draft/one")
    assert [ref.name for ref in api.list_repo_refs(repo).branches] == ["main"]
    for revision in ("v1", "draft/one", "a..b", "0" * 40):
        with pytest.raises(RevisionNotFoundError):
            api.hf_hub_download(repo, "README.md", revision=revision)
    with pytest.raises(EntryNotFoundError):
        api.hf_hub_download(repo, "nothing.txt")
    for missing in (f"{namespace}/none", "gpt2"):
        with pytest.raises(RepositoryNotFoundError):
            api.model_info(missing)
    api.delete_repo(repo)
    assert not api.repo_exists(repo)


# ---- what repositories say of themselves


def test_info_tells_what_the_card_says(api, repo, namespace):
    card = b"---\nlicense: apache-2.0\ntags: [film, chat]\n---\nText"
    api.upload_file(path_or_fileobj=card, path_in_repo="README.md", repo_id=repo)
    info = api.model_info(repo)
    assert (info.tags, info.card_data.license, info.private) == (
        ["film", "chat", "license:apache-2.0"],
        "apache-2.0",
        False,
    )
    with pytest.raises(ValueError, match="Invalid metadata"):
        api.upload_file(path_or_fileobj=b"---\na: [\n---\n", path_in_repo="README.md", repo_id=repo)
    assert [model.id for model in api.list_models(author=namespace, search="REP")] == [repo]
    assert not list(api.list_models(author=namespace, search="other"))
    assert not list(api.list_datasets(author=namespace))


def test_a_card_that_is_not_yaml_breaks_nothing(api, repo, hub_url):
    raw = {"key": "file", "value": {"path": "README.md", "content": "---\na: [\n---\n", "encoding": "utf-8"}}
    assert post(f"{hub_url}/api/models/{repo}/commit/main", content=json.dumps(raw)).status_code == 200
    assert api.model_info(repo).sha


def test_collections(api, namespace):
    api.create_repo(f"{namespace}/x")
    made = api.create_collection("Repartee", namespace=namespace, description="All of it")
    assert api.create_collection("Repartee", namespace=namespace, exists_ok=True).slug == made.slug
    for _ in range(2):
        api.add_collection_item(made.slug, f"{namespace}/x", "model", note="first", exists_ok=True)
    with pytest.raises(HfHubHTTPError):
        api.add_collection_item(made.slug, f"{namespace}/none", "model")
    found = api.get_collection(made.slug)
    assert [(item.item_id, item.item_type, item.note) for item in found.items] == [(f"{namespace}/x", "model", "first")]


def test_ranges(api, repo, hub_url):
    api.upload_file(path_or_fileobj=b"# <b>Hello</b>", path_in_repo="README.md", repo_id=repo)
    for asked, status, content in (
        ("bytes=2-4", 206, b"<b>"),
        ("bytes=-4", 206, b"</b>"),
        ("bytes=10-", 206, b"</b>"),
        ("bytes=99-", 416, b""),
    ):
        part = httpx2.get(f"{hub_url}/{repo}/resolve/main/README.md", headers={"Range": asked})
        assert (part.status_code, part.content) == (status, content), asked
