"""Rows of what the JavaScript client writes, each a script that node runs with @huggingface/hub."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.conformance import LARGE, Hub, row

HUB_JS = "@huggingface/hub@2.17.5"


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
    "a regular and a large file, with and without `useXet: false`",
)
def js_writes(hub: Hub):
    name = f"{hub.namespace}/js"
    javascript(
        hub,
        f"""
const repo = {{type: "dataset", name: "{name}"}};
await hub.createRepo({{repo, ...S}});
for (const more of [{{}}, {{useXet: false}}]) {{
  const content = new Blob([crypto.getRandomValues(new Uint8Array(1000))]);
  await hub.uploadFiles({{repo, ...S, ...more, commitTitle: "by js", files: [
    {{path: "a.txt", content: new Blob(["of text"])}}, {{path: "b.bin", content}}]}});
}}
await hub.createRepo({{repo: {{type: "model", name: "{name}"}}, ...S}});
await hub.deleteRepo({{repo: {{type: "model", name: "{name}"}}, ...S}});
""",
    )
    assert set(hub.api.list_repo_files(name, repo_type="dataset")) == {".gitattributes", "a.txt", "b.bin"}
    assert hub.api.list_repo_commits(name, repo_type="dataset")[1].title == "by js"
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


@row(
    "@huggingface/hub",
    "uploadFilesWithProgress, commit, deleteFile, deleteFiles",
    "0 bytes to 10 MB and one more; 120 files; a stale parentCommit is 412; a name with spaces and umlauts",
)
def js_sizes_and_deletions(hub: Hub):
    name = hub.repo(old_txt="1")
    said = javascript(
        hub,
        f"""
const repo = {{type: "model", name: "{name}"}};
const of = (size) => new Blob([new Uint8Array(size).map((_, place) => place % 251)]);
const files = [0, 1, 1000, {LARGE - 1}, {LARGE}].map((size) => ({{path: `sizes/${{size}}.dat`, content: of(size)}}));
const many = [...Array(120).keys()].map((n) => ({{path: `many/${{n}}.txt`, content: new Blob([`${{n}}`])}}));
let done, first, phases = new Set();
const steps = hub.uploadFilesWithProgress({{repo, files: [...files, ...many], ...S}});
while (!(done = await steps.next()).done) phases.add(done.value.phase ?? done.value.state);
first = done.value.commit.oid;
await hub.uploadFile({{repo, file: {{path: "d/ä b.txt", content: new Blob(["odd"])}}, ...S}});
await hub.deleteFile({{repo, path: "old.txt", ...S}});
await hub.deleteFiles({{repo, paths: many.slice(1).map((file) => file.path), ...S}});
const stale = await hub.commit({{repo, title: "t", parentCommit: first, ...S,
  operations: [{{operation: "delete", path: "many/0.txt"}}]}}).catch((error) => error.statusCode);
const odd = await (await hub.downloadFile({{repo, path: "d/ä b.txt", ...S}})).text();
console.log(JSON.stringify([[...phases], stale, odd]));
""",
    )
    phases = ["preuploading", "uploadingLargeFiles", "hashing", "uploading", "committing"]
    assert json.loads(said) == [phases, 412, "odd"]
    files = {file.rfilename: file for file in hub.api.model_info(name, files_metadata=True).siblings}
    sizes = (0, 1, 1000, LARGE - 1, LARGE)
    assert set(files) == {".gitattributes", "many/0.txt", "d/ä b.txt", *(f"sizes/{size}.dat" for size in sizes)}
    for size in sizes:
        file = files[f"sizes/{size}.dat"]
        assert (file.size, file.lfs is not None) == (size, size == LARGE)
        content = bytes(range(251)) * (size // 251) + bytes(range(size % 251))
        assert Path(hub.api.hf_hub_download(name, file.rfilename)).read_bytes() == content


@row(
    "@huggingface/hub",
    "createCollection, listCollections, deleteCollection, deleteBranch",
    "a note as text and as HTML; what is deleted is gone",
)
def js_collections(hub: Hub):
    name = hub.repo(a_txt="1")
    said = javascript(
        hub,
        f"""
const repo = {{type: "model", name: "{name}"}};
const {{slug}} = await hub.createCollection({{collection: {{title: "T", namespace: "{hub.namespace}"}}, ...S}});
const post = {{method: "POST", headers: {{Authorization: `Bearer ${{S.accessToken}}`}}}};
const body = JSON.stringify({{item: {{type: "model", id: "{name}"}}, note: "a < b"}});
await fetch(`${{S.hubUrl}}/api/collections/${{slug}}/items`, {{...post, body}});
const all = async (found) => {{ const list = []; for await (const one of found) list.push(one); return list }};
const of = async () => all(hub.listCollections({{search: {{owner: ["{hub.namespace}"]}}, ...S}}));
const [item] = (await of())[0].items;
await hub.deleteCollection({{slug, ...S}});
const left = (await of()).length;
await hub.createBranch({{repo, branch: "x/y", ...S}});
await hub.deleteBranch({{repo, branch: "x/y", ...S}});
console.log(JSON.stringify([item.id, item.note, left]));
""",
    )
    assert json.loads(said) == [name, {"text": "a < b", "html": "a &lt; b"}, 0]
    assert [branch.name for branch in hub.api.list_repo_refs(name).branches] == ["main"]
