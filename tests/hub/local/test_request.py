"""Who may read and write on the local Hub, and what a stranger is told."""

import base64
import os

import httpx2
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import BadRequestError, HfHubHTTPError, RepositoryNotFoundError

from hub.local.tokens import add_token, token_of
from tests.support.hub_http import add, post
from tests.support.warm_hub import running


def test_a_read_token_reads_everything_and_writes_nothing(tmp_path):
    with running(tmp_path) as url:
        owner, guest = HfApi(url, token_of(tmp_path)), HfApi(url, add_token(tmp_path, "guest", "read"))
        owner.create_repo("me/x", private=True)
        owner.create_repo("me/s", repo_type="space", space_sdk="gradio")
        slug = owner.create_collection("C", namespace="me").slug
        assert guest.whoami()["auth"]["accessToken"]["role"] == "read"
        assert guest.model_info("me/x").private
        guest.auth_check("me/x")
        for write in (
            lambda: guest.create_repo("guest/y"),
            lambda: guest.delete_repo("me/x"),
            lambda: guest.move_repo("me/x", "guest/x"),
            lambda: guest.duplicate_repo("me/x", "guest/x"),
            lambda: guest.update_repo_settings("me/x", private=False),
            lambda: guest.upload_file(path_or_fileobj=b"1", path_in_repo="a", repo_id="me/x"),
            lambda: guest.upload_file(path_or_fileobj=b"1", path_in_repo="a.bin", repo_id="me/x"),
            lambda: guest.create_branch("me/x", branch="b"),
            lambda: guest.create_tag("me/x", tag="t"),
            lambda: guest.super_squash_history("me/x"),
            lambda: guest.auth_check("me/x", write=True),
            lambda: guest.add_space_secret("me/s", "A", "b"),
            lambda: guest.get_space_secrets("me/s"),
            lambda: guest.add_space_variable("me/s", "A", "b"),
            lambda: guest.restart_space("me/s"),
            lambda: list(guest.fetch_space_logs("me/s")),
            lambda: guest.create_collection("D", namespace="me"),
            lambda: guest.delete_collection(slug),
        ):
            with pytest.raises(HfHubHTTPError) as caught:
                write()
            assert caught.value.response.status_code == 403
            assert "write token" in str(caught.value)
        assert len(owner.list_repo_commits("me/x")) == 1
        with pytest.raises(HfHubHTTPError) as caught:  # an unknown token is refused for public things too
            HfApi(url, "hf_unknown").space_info("me/s")
        assert caught.value.response.status_code == 401


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


def test_a_stranger_cannot_tell_private_from_missing(api, namespace, hub_url):
    """Every address of a private repository answers as that of one that is not there, to the letter."""
    name = f"{namespace}/secret"
    api.create_repo(name, private=True)
    api.upload_file(path_or_fileobj=b"x", path_in_repo="x.bin", repo_id=name)
    sha = api.model_info(name).sha
    oid = api.get_paths_info(name, "x.bin")[0].lfs.sha256
    slug = api.create_collection("Open", namespace=namespace).slug
    api.add_collection_item(slug, name, "model")
    batch = {"operation": "download", "objects": [{"oid": oid, "size": 1}]}
    for method, path, body in (
        ("GET", "/api/models/{}", None),
        ("GET", f"/api/models/{{}}/revision/{sha}", None),
        ("GET", "/api/models/{}/tree/main", None),
        ("GET", "/api/models/{}/commits/main", None),
        ("GET", "/api/models/{}/refs", None),
        ("GET", "/api/models/{}/auth-check", None),
        ("POST", "/api/models/{}/paths-info/main", {"paths": ["x.bin"]}),
        ("GET", "/{}/resolve/main/x.bin", None),
        ("HEAD", "/{}/resolve/main/x.bin", None),
        ("GET", "/{}/raw/main/x.bin", None),
        ("GET", "/{}", None),
        ("GET", "/{}/tree/main", None),
        ("GET", "/{}/blob/main/x.bin", None),
        ("GET", "/{}/commits/main", None),
        ("GET", f"/{{}}/commit/{sha}", None),
        ("GET", "/{}.git/info/refs?service=git-upload-pack", None),
        ("POST", "/{}.git/git-upload-pack", {}),
        ("POST", "/{}.git/info/lfs/objects/batch", batch),
    ):
        answers = [
            httpx2.request(method, hub_url + path.format(asked), json=body) for asked in (name, f"{namespace}/none")
        ]
        told = [(answer.status_code, answer.headers["X-Error-Code"], answer.text) for answer in answers]
        assert told[0] == told[1], path
        assert told[0][:2] == (401, "RepoNotFound"), path
    for path in (
        "",
        f"/{namespace}",
        "/api/models",
        f"/collections/{slug}",
        f"/api/collections/{slug}",
        "/api/collections",
    ):
        assert name not in httpx2.get(hub_url + path).text, path
    assert httpx2.get(f"{hub_url}/large/{oid}").status_code == 403
    other = f"{namespace}/open"
    api.create_repo(other)  # a public repository is no way to another's large files
    (told,) = httpx2.post(f"{hub_url}/{other}.git/info/lfs/objects/batch", json=batch).json()["objects"]
    assert told["error"]["code"] == 404


def test_git_asks_for_a_password_and_takes_a_token(api, namespace, hub_url):
    name = f"{namespace}/secret"
    api.create_repo(name, private=True)
    address = f"{hub_url}/{name}.git/info/refs?service=git-upload-pack"
    assert httpx2.get(address).headers["WWW-Authenticate"].startswith("Basic")
    for password, status in ((os.environ["HF_TOKEN"], 200), ("wrong", 401)):
        basic = base64.b64encode(f"anyone:{password}".encode()).decode()
        assert httpx2.get(address, headers={"Authorization": f"Basic {basic}"}).status_code == status
    basic = {"Authorization": "Basic " + base64.b64encode(f"anyone:{os.environ['HF_TOKEN']}".encode()).decode()}
    assert name in httpx2.get(hub_url, headers=basic).text  # a browser that has signed in sees it too
    for path in ("/api/repos/create", f"/api/models/{name}/commit/main"):  # but no page makes it write
        assert httpx2.post(hub_url + path, headers=basic, json={"name": "x"}).status_code == 403
    assert httpx2.get(f"{hub_url}/sign-in").headers["WWW-Authenticate"].startswith("Basic")
    assert httpx2.get(f"{hub_url}/sign-in", headers=basic).headers["Location"] == "/"
    assert httpx2.get(address, headers={"Authorization": "Basic \u0026\u0026"}).status_code == 401
    for body in (b"", b"0000", b"zzzz", b"0032want " + b"0" * 40 + b"\n00000009done\n"):
        assert post(f"{hub_url}/{name}.git/git-upload-pack", content=body).status_code in (200, 400), body
