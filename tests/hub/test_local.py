"""The local Hub over real HTTP, asked by clients that we did not write."""

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi, snapshot_download
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


def test_private_means_private(api, namespace, hub_url):
    name = f"{namespace}/secret"
    api.create_repo(name, private=True, repo_type="dataset")
    api.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id=name, repo_type="dataset")
    assert api.dataset_info(name).private
    stranger = HfApi(token=False)
    with pytest.raises(RepositoryNotFoundError):
        stranger.dataset_info(name)
    assert httpx2.get(f"{hub_url}/datasets/{name}/resolve/main/x").status_code == 401
    assert name not in httpx2.get(hub_url).text
    assert not list(stranger.list_datasets(author=namespace))
    api.update_repo_settings(name, private=False, repo_type="dataset")
    assert not stranger.dataset_info(name).private


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


def test_ranges_and_pages(api, repo, hub_url):
    api.upload_file(path_or_fileobj=b"# <b>Hello</b>", path_in_repo="README.md", repo_id=repo)
    for asked, status, content in (
        ("bytes=2-4", 206, b"<b>"),
        ("bytes=-4", 206, b"</b>"),
        ("bytes=10-", 206, b"</b>"),
        ("bytes=99-", 416, b""),
    ):
        part = httpx2.get(f"{hub_url}/{repo}/resolve/main/README.md", headers={"Range": asked})
        assert (part.status_code, part.content) == (status, content), asked
    assert "&lt;b&gt;Hello" in httpx2.get(f"{hub_url}/{repo}").text
    assert repo in httpx2.get(hub_url).text


# ---- the libraries


def test_datasets_push_and_load(api, namespace):
    from datasets import Dataset, load_dataset

    Dataset.from_dict({"line": ["Where?", "Here."]}).push_to_hub(f"{namespace}/lines")
    assert load_dataset(f"{namespace}/lines", split="train")["line"] == ["Where?", "Here."]


def test_transformers_push_and_pull(api, namespace, starter):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    name = f"{namespace}/model"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(starter), AutoTokenizer.from_pretrained(starter)
    model.push_to_hub(name)
    tokenizer.push_to_hub(name)
    pulled = AutoModelForCausalLM.from_pretrained(name).state_dict()
    assert pulled.keys() == model.state_dict().keys()
    assert all(pulled[key].equal(tensor) for key, tensor in model.state_dict().items())
    assert AutoTokenizer.from_pretrained(name).get_vocab() == tokenizer.get_vocab()


def test_whole_repositories_download(api, repo, tmp_path):
    api.create_commit(repo, [add("a/b", b"1"), add("c.bin", b"2")], commit_message="two")
    folder = Path(snapshot_download(repo))
    assert ((folder / "a/b").read_bytes(), (folder / "c.bin").read_bytes()) == (b"1", b"2")
    hf = Path(sys.executable).with_name("hf")
    subprocess.run([hf, "download", repo, "--local-dir", tmp_path], check=True, capture_output=True)
    assert ((tmp_path / "a/b").read_bytes(), (tmp_path / "c.bin").read_bytes()) == (b"1", b"2")


# ---- what is refused


@pytest.mark.parametrize(
    "path", ["../x", "/etc/x", "a/../../x", ".git/config", "a/.GIT/x", "a\\..\\x", "a\nb", "", "a//b"]
)
def test_no_path_leaves_a_repository(hub_url, repo, path):
    for key in ("file", "deletedFile", "copyFile"):
        value = {"path": path, "content": "eA==", "encoding": "base64", "srcPath": ".gitattributes"}
        line = json.dumps({"key": key, "value": value})
        answer = post(f"{hub_url}/api/models/{repo}/commit/main", content=line)
        assert (answer.status_code, answer.headers["X-Error-Code"]) == (400, "InvalidPath")


@pytest.mark.parametrize("name", ["..", "a/b", ".hidden", "x.git", "x.lock", "é"])
def test_no_name_leaves_the_data_folder(hub_url, namespace, name):
    answer = post(f"{hub_url}/api/repos/create", json={"name": name, "organization": namespace})
    assert (answer.status_code, answer.headers["X-Error-Code"]) == (400, "InvalidRepoName")


def test_writes_need_the_token(hub_url, repo):
    for token, said in (
        (None, "Invalid username or password."),
        ("hf_wrong", "Invalid credentials in Authorization header"),
    ):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        for method, path in (
            ("POST", "/api/repos/create"),
            ("DELETE", "/api/repos/delete"),
            ("GET", "/api/whoami-v2"),
            ("PUT", f"/api/models/{repo}/settings"),
            ("POST", f"/api/models/{repo}/preupload/main"),
            ("POST", f"/api/models/{repo}/commit/main"),
            ("POST", f"/api/models/{repo}/tag/main"),
            ("DELETE", f"/api/models/{repo}/branch/main"),
            ("POST", "/api/collections"),
        ):
            answer = httpx2.request(method, hub_url + path, headers=headers)
            assert (answer.status_code, answer.headers["X-Error-Message"]) == (401, said), path
            assert answer.headers["X-Request-Id"]


def test_bad_requests_are_refused_not_crashed(api, hub_url, repo):
    for body in (
        b"not json",
        b'{"key":"file"}',
        b'{"key":"dance","value":{}}',
        b'{"key":"file","value":{"path":"x"}}',
        b"[]",
    ):
        assert post(f"{hub_url}/api/models/{repo}/commit/main", content=body).status_code == 400, body
    for path in ("/api/repos/create", "/api/validate-yaml", f"/api/models/{repo}/tag/main", "/api/collections"):
        assert post(hub_url + path, content=b"[]").status_code == 400, path
    assert post(f"{hub_url}/api/nothing/here").status_code in (404, 405)
    assert api.list_repo_files(repo) == [".gitattributes"]


def test_a_pull_request_is_not_a_commit_to_main(api, repo):
    with pytest.raises(BadRequestError, match="no pull requests"):
        api.create_commit(repo, [add("x", b"x")], commit_message="x", create_pr=True)
    assert api.list_repo_files(repo) == [".gitattributes"]
