"""Rows of git with git-lfs, plain HTTP, and the JavaScript client."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import httpx2
import pytest

from tests.support.conformance import Hub, row

HUB_JS = "@huggingface/hub@2.17.5"


# ---- git


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


# ---- plain HTTP and JavaScript


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


def javascript(hub: Hub, code: str) -> str:
    """Runs code with @huggingface/hub, which is installed once into a cache."""
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("npm is not installed (apt-get install npm)")
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "repartee" / HUB_JS.replace("/", "-")
    if not (folder / "node_modules/@huggingface/hub/package.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        install = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder), HUB_JS]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"npm cannot install {HUB_JS}: {done.stderr.strip()[-200:]}")
    script = folder / f"{hub.namespace}.mjs"
    settings = {"hubUrl": hub.url, "accessToken": hub.token}
    script.write_text(f'import * as hub from "@huggingface/hub";\nconst S = {json.dumps(settings)};\n{code}\n')
    try:
        return hub.run("node", script)
    finally:
        script.unlink()


@row(
    "@huggingface/hub",
    "createRepo, uploadFiles, deleteRepo",
    "a regular and a large file (`useXet: false`)",
)
def js_writes(hub: Hub):
    name = f"{hub.namespace}/js"
    javascript(
        hub,
        f"""
const repo = {{type: "dataset", name: "{name}"}};
await hub.createRepo({{repo, ...S}});
await hub.uploadFiles({{repo, ...S, useXet: false, commitTitle: "by js", files: [
  {{path: "a.txt", content: new Blob(["of text"])}}, {{path: "b.bin", content: new Blob([new Uint8Array(1000)])}}]}});
await hub.createRepo({{repo: {{type: "model", name: "{name}"}}, ...S}});
await hub.deleteRepo({{repo: {{type: "model", name: "{name}"}}, ...S}});
""",
    )
    assert set(hub.api.list_repo_files(name, repo_type="dataset")) == {".gitattributes", "a.txt", "b.bin"}
    assert hub.api.list_repo_commits(name, repo_type="dataset")[0].title == "by js"
    assert not hub.api.repo_exists(name)


@row(
    "@huggingface/hub",
    "createRepo({files, license}), createBranch({empty, overwrite})",
    "a README with the license; a branch without files, and one that is moved",
)
def js_creates(hub: Hub):
    name = f"{hub.namespace}/js"
    javascript(
        hub,
        f"""
const repo = {{type: "model", name: "{name}"}};
await hub.createRepo({{repo, license: "mit", files: [{{path: "a.txt", content: new Blob(["a"])}}], ...S}});
await hub.createBranch({{repo, branch: "empty", empty: true, ...S}});
await hub.createBranch({{repo, branch: "moved", ...S}});
await hub.createBranch({{repo, branch: "moved", empty: true, overwrite: true, ...S}});
""",
    )
    assert set(hub.api.list_repo_files(name)) == {".gitattributes", "README.md", "a.txt"}
    assert hub.api.model_info(name).card_data.license == "mit"
    assert not hub.api.list_repo_files(name, revision="empty")
    assert not hub.api.list_repo_files(name, revision="moved")


@row("@huggingface/hub", "downloadFile, fileExists, fileDownloadInfo", "content and size, of regular and large files")
def js_reads(hub: Hub):
    name = hub.repo(a_txt="of text", b_bin=b"12345")
    said = javascript(
        hub,
        f"""
const repo = {{type: "model", name: "{name}"}};
const file = await hub.downloadFile({{repo, path: "a.txt", ...S}});
const info = await hub.fileDownloadInfo({{repo, path: "b.bin", ...S}});
console.log(JSON.stringify([await file.text(), info.size, await hub.fileExists({{repo, path: "no", ...S}})]));
""",
    )
    assert json.loads(said) == ["of text", 5, False]


@row("@huggingface/hub", "listFiles, listCommits, listModels, pathsInfo, modelInfo, whoAmI", "what Python is told")
def js_listings(hub: Hub):
    name = hub.repo(a_txt="1", d__b_bin=b"2")
    said = javascript(
        hub,
        f"""
const repo = {{type: "model", name: "{name}"}};
const all = async (found) => {{ const list = []; for await (const one of found) list.push(one); return list }};
console.log(JSON.stringify({{
  files: (await all(hub.listFiles({{repo, recursive: true, ...S}}))).map((f) => f.path),
  commits: (await all(hub.listCommits({{repo, ...S}}))).map((c) => c.title),
  models: (await all(hub.listModels({{search: {{owner: "{hub.namespace}"}}, ...S}}))).map((m) => m.name),
  paths: (await hub.pathsInfo({{repo, paths: ["d/b.bin"], ...S}})).map((f) => f.size),
  info: (await hub.modelInfo({{name: "{name}", ...S}})).name,
  me: (await hub.whoAmI(S)).name,
}}));
""",
    )
    assert json.loads(said) == {
        "files": [".gitattributes", "a.txt", "d", "d/b.bin"],
        "commits": ["files", "initial commit"],
        "models": [name],
        "paths": [1],
        "info": name,
        "me": "repartee",
    }
