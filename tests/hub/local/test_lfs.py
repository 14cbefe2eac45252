"""Large files of the local Hub: beside git, each under its hash."""

import hashlib
import json
import os
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import CommitOperationCopy

from hub.errors import explain
from tests.support.hub_http import post


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


def test_a_client_with_xet_on_is_told_what_to_set(api, repo, hub_url, monkeypatch, tmp_path):
    pytest.importorskip("hf_xet")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", False)
    (tmp_path / "w.bin").write_bytes(b"x" * 100_000)
    with pytest.raises(ConnectionError, match="HF_HUB_DISABLE_XET=1") as caught:
        api.upload_file(path_or_fileobj=tmp_path / "w.bin", path_in_repo="w.bin", repo_id=repo)
    assert explain(caught.value) == f"{hub_url} takes large files by LFS, not by Xet; set HF_HUB_DISABLE_XET=1"
    for kind in ("read", "write"):
        answer = httpx2.get(f"{hub_url}/api/models/{repo}/xet-{kind}-token/main", follow_redirects=True)
        assert answer.status_code == 400
        assert "HF_HUB_DISABLE_XET=1" in answer.json()["error"]
    api.upload_file(path_or_fileobj=b"small", path_in_repo="a.txt", repo_id=repo)  # what is no large file comes through
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    api.upload_file(path_or_fileobj=tmp_path / "w.bin", path_in_repo="w.bin", repo_id=repo)
    assert {"a.txt", "w.bin"} <= set(api.list_repo_files(repo))
