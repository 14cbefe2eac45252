"""Rows of what the JavaScript client reads, each a script that node runs with @huggingface/hub."""

import json
from pathlib import Path

import numpy as np
from huggingface_hub import CommitOperationAdd
from safetensors.numpy import save

from tests.support.conformance import Hub, row
from tests.support.conformance.javascript import javascript


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


@row(
    "@huggingface/hub",
    "downloadFile().slice, snapshotDownload, scanCacheDir",
    "ranges; a whole repository at a revision, into the cache that Python reads",
)
def js_ranges_and_cache(hub: Hub):
    large = bytes(range(256)) * 50_000
    name = hub.repo("dataset", a_txt="of text", d__b_bin=large)
    hub.api.create_tag(name, tag="v1", repo_type="dataset")
    hub.api.delete_file("a.txt", name, repo_type="dataset")
    said = javascript(
        hub,
        f"""
const repo = {{type: "dataset", name: "{name}"}};
const file = await hub.downloadFile({{repo, path: "d/b.bin", ...S}});
const part = [...new Uint8Array(await file.slice(12_000_000, 12_000_004).arrayBuffer())];
const text = await (await hub.downloadFile({{repo, path: "a.txt", revision: "v1", ...S}})).slice(3, 7).text();
const gone = await hub.downloadFile({{repo, path: "a.txt", ...S}});
const cacheDir = {json.dumps(str(hub.tmp / "cache"))};
const folder = await hub.snapshotDownload({{repo, revision: "v1", cacheDir, ...S}});
const cached = await hub.scanCacheDir(cacheDir);
console.log(JSON.stringify([file.size, part, text, gone, folder, cached.repos.map((one) => one.id.name)]));
""",
    )
    *found, folder, cached = json.loads(said.splitlines()[-1])  # it says what it downloads
    assert found == [len(large), [0, 1, 2, 3], "text", None]
    assert cached == [name]
    assert (Path(folder) / "d/b.bin").read_bytes() == large
    ours = hub.api.snapshot_download(
        name, repo_type="dataset", revision="v1", cache_dir=hub.tmp / "cache", local_files_only=True
    )
    assert Path(ours) == Path(folder)


@row(
    "@huggingface/hub",
    "listDatasets, listSpaces, datasetInfo, spaceInfo, countCommits, repoExists, checkRepoAccess",
    "what is there and what is not; a private one without a token; 1,100 files over pages",
)
def js_more_listings(hub: Hub):
    model = hub.repo(a_txt="1")
    hub.repo("dataset", a_txt="1")
    hub.repo("space", a_txt="1")
    many = [CommitOperationAdd(f"many/{number}.txt", str(number).encode()) for number in range(1_100)]
    hub.api.create_commit(model, many, commit_message="many")
    hub.api.update_repo_settings(model, private=True)
    said = javascript(
        hub,
        f"""
const name = "{model}", search = {{owner: "{hub.namespace}"}}, open = {{hubUrl: S.hubUrl}};
const all = async (found) => {{ const list = []; for await (const one of found) list.push(one); return list }};
const status = (asked) => asked.then(() => 200, (error) => error.statusCode);
const model = {{type: "model", name}}, none = {{type: "model", name: `${{name}}-none`}};
const folder = (await all(hub.listFiles({{repo: model, recursive: true, expand: true, ...S}})));
console.log(JSON.stringify([
  (await all(hub.listDatasets({{search, ...S}}))).map((one) => one.name),
  (await all(hub.listSpaces({{search, ...S}}))).map((one) => [one.name, one.sdk]),
  (await hub.datasetInfo({{name, additionalFields: ["sha"], ...S}})).sha.length,
  (await hub.spaceInfo({{name, ...S}})).sdk,
  await hub.countCommits({{repo: model, ...S}}),
  [await hub.repoExists({{repo: model, ...S}}), await hub.repoExists({{repo: none, ...S}})],
  [await status(hub.checkRepoAccess({{repo: model, ...S}})), await status(hub.checkRepoAccess({{repo: none, ...S}})),
   await status(hub.checkRepoAccess({{repo: model, ...open}}))],
  folder.filter((file) => file.type === "file").length, folder.every((file) => file.lastCommit?.title),
]));
process.exit();  // these clients leave answers unread, for which node would wait
""",
    )
    assert json.loads(said) == [
        [model], [[model, "gradio"]], 40, "gradio", 3, [True, False], [200, 404, 401], 1_102, True,
    ]  # fmt: skip


@row(
    "@huggingface/hub",
    "parseSafetensorsMetadata, fileDownloadInfo, pathsInfo({expand})",
    "the header by Range; a pointer's size, and a file's; the last commit",
)
def js_metadata(hub: Hub):
    weights = save({"a": np.ones((3, 4), "float32"), "b": np.ones(5, "float16")})
    name = hub.repo(a_txt="1", model_safetensors=weights)
    said = javascript(
        hub,
        f"""
const repo = {{type: "model", name: "{name}"}}, path = "model.safetensors";
const found = await hub.parseSafetensorsMetadata({{repo, computeParametersCount: true, ...S}});
const [info, raw] = [await hub.fileDownloadInfo({{repo, path, ...S}}),
  await hub.fileDownloadInfo({{repo, path, raw: true, ...S}})];
const [one, no] = await hub.pathsInfo({{repo, paths: [path, "none"], expand: true, ...S}});
console.log(JSON.stringify([found.sharded, found.header.a.shape, found.parameterCount, info.size, raw.size < 200,
  one.lfs.size, one.lastCommit.title, no ?? null]));
""",
    )
    size = len(weights)
    assert json.loads(said) == [False, [3, 4], {"F32": 12, "F16": 5}, size, True, size, "files", None]
