"""What the local Hub answers over real HTTP: listings, refs, cards and ranges."""

import hashlib
import json
from pathlib import Path

import httpx2
import pytest
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

from tests.support.hub_http import add, post


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
    api.create_commit(repo, [add("a.txt", b"---\na: [\n---\n")], commit_message="text")
    copied = {"key": "copyFile", "value": {"path": "README.md", "srcPath": "a.txt"}}  # a content that is not looked at
    assert post(f"{hub_url}/api/models/{repo}/commit/main", content=json.dumps(copied)).status_code == 200
    assert api.model_info(repo).sha


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
