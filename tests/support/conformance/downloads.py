"""Rows of huggingface_hub about downloads, the file system and cards."""

import os
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import (
    CommitScheduler,
    HfFileSystem,
    ModelCard,
    ModelCardData,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    metadata_update,
    snapshot_download,
)
from huggingface_hub.errors import EntryNotFoundError

from tests.support.conformance import LARGE, Hub, row

HFAPI = "huggingface_hub"


@row(HFAPI, "hf_hub_download", "from the cache the second time; by tag and sha; into a folder; 404 for no file")
def download(hub: Hub):
    name = hub.repo(a_txt="1")
    first = Path(hf_hub_download(name, "a.txt", cache_dir=hub.tmp))
    before = first.resolve().stat().st_mtime_ns
    assert Path(hf_hub_download(name, "a.txt", cache_dir=hub.tmp)).resolve().stat().st_mtime_ns == before
    hub.api.create_tag(name, tag="v1")
    sha = hub.api.model_info(name).sha
    for revision in ("v1", sha):
        assert Path(hf_hub_download(name, "a.txt", revision=revision)).read_text() == "1"
    assert Path(hf_hub_download(name, "a.txt", local_dir=hub.tmp / "x")).read_text() == "1"
    with pytest.raises(EntryNotFoundError):
        hf_hub_download(name, "none.txt")


@row(HFAPI, "hf_hub_download(force_download), interrupted", "a half file is continued with Range")
def resume(hub: Hub):
    content = os.urandom(LARGE)
    name = hub.repo(large=content)
    folder = hub.tmp / "x"
    metadata = get_hf_file_metadata(hf_hub_url(name, "large"))
    half = folder / ".cache/huggingface/download"
    half.mkdir(parents=True)
    from huggingface_hub._local_folder import get_local_download_paths

    paths = get_local_download_paths(folder, "large")
    paths.incomplete_path(metadata.etag).write_bytes(content[:5_000_000])
    assert Path(hf_hub_download(name, "large", local_dir=folder)).read_bytes() == content


@row(HFAPI, "snapshot_download", "all files, by patterns, of a revision")
def snapshot(hub: Hub):
    name = hub.repo("dataset", a_txt="1", d__b_bin=b"2", c_log="3")
    folder = Path(snapshot_download(name, repo_type="dataset", ignore_patterns="*.log", cache_dir=hub.tmp))
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {".gitattributes", "a.txt", "d/b.bin"}


@row(HFAPI, "get_hf_file_metadata", "commit, ETag, size; If-None-Match is 304, If-Match another 412")
def metadata(hub: Hub):
    name = hub.repo(a_txt="12", b_bin=b"123")
    for path, size in (("a.txt", 2), ("b.bin", 3)):
        url = hf_hub_url(name, path)
        found = get_hf_file_metadata(url)
        assert (found.commit_hash, found.size) == (hub.api.model_info(name).sha, size)
        tag = f'"{found.etag}"'
        assert httpx2.get(url, headers={"If-None-Match": tag}).status_code == 304
        assert httpx2.get(url, headers={"If-None-Match": '"x"'}).status_code == 200
        assert httpx2.get(url, headers={"If-Match": '"x"'}).status_code == 412
        assert httpx2.get(url, headers={"Range": "bytes=1-1", "If-Range": tag}).content == b"2"
        assert httpx2.get(url, headers={"Range": "bytes=1-1", "If-Range": '"x"'}).status_code == 200


@row(HFAPI, "HfApi.get_safetensors_metadata", "the header alone, by Range")
def safetensors(hub: Hub):
    import numpy
    from safetensors.numpy import save

    name = hub.repo(model_safetensors=save({"w": numpy.zeros((3, 5), numpy.float32)}))
    assert hub.api.get_safetensors_metadata(name).parameter_count == {"F32": 15}


@row(HFAPI, "HfApi.verify_repo_checksums", "a download is what the listing says")
def verify(hub: Hub):
    name = hub.repo(a_txt="1", b_bin=b"2")
    folder = Path(snapshot_download(name, local_dir=hub.tmp / "x"))
    assert not hub.api.verify_repo_checksums(name, local_dir=folder).mismatches
    (folder / "b.bin").write_bytes(b"3")
    assert [bad["path"] for bad in hub.api.verify_repo_checksums(name, local_dir=folder).mismatches] == ["b.bin"]


@row(HFAPI, "HfFileSystem.ls, glob, find, info, exists, walk", "sizes and paths of a branch")
def file_system(hub: Hub):
    name, fs = hub.repo("dataset", a_txt="12345", d__e__b_txt="2"), HfFileSystem(skip_instance_cache=True)
    root = f"datasets/{name}"
    assert sorted(fs.ls(root, detail=False)) == [f"{root}/.gitattributes", f"{root}/a.txt", f"{root}/d"]
    assert fs.glob(f"{root}/**/b.txt") == [f"{root}/d/e/b.txt"]
    assert len(fs.find(root)) == 3
    assert fs.info(f"{root}/a.txt")["size"] == 5
    assert (fs.exists(f"{root}/none"), fs.isdir(f"{root}/d/e")) == (False, True)
    assert [top for top, _, _ in fs.walk(f"{root}/d")] == [f"{root}/d", f"{root}/d/e"]


@row(HFAPI, "HfFileSystem.open, read_block, put, cp, rm", "reads by Range; writes are commits")
def file_system_writes(hub: Hub):
    name, fs = hub.repo("dataset", a_txt="0123456789"), HfFileSystem(skip_instance_cache=True)
    root = f"datasets/{name}"
    with fs.open(f"{root}/a.txt", "rb", block_size=4) as file:
        file.seek(3)
        assert file.read(4) == b"3456"
    with fs.open(f"{root}/w.txt", "w") as file:
        file.write("written")
    fs.cp_file(f"{root}/w.txt", f"{root}/copy.txt")
    fs.rm(f"{root}/w.txt")
    fs.invalidate_cache()
    assert fs.cat(f"{root}/copy.txt") == b"written"
    assert not fs.exists(f"{root}/w.txt")


@row(HFAPI, "ModelCard.push_to_hub, load, validate; metadata_update", "checked by the Hub; a bad card is refused")
def card(hub: Hub):
    name = hub.repo()
    card = ModelCard.from_template(
        ModelCardData(license="mit", tags=["film"]), template_str="---\n{{card_data}}\n---\nHi"
    )
    card.push_to_hub(name)
    metadata_update(name, {"language": ["en"]})
    loaded = ModelCard.load(name)
    loaded.validate()
    assert (loaded.data.license, loaded.data.language, loaded.text.strip()) == ("mit", ["en"], "Hi")
    with pytest.raises(ValueError, match="Invalid metadata"):
        hub.api.upload_file(path_or_fileobj=b"---\na: [\n---\n", path_in_repo="README.md", repo_id=name)


@row(HFAPI, "CommitScheduler", "a folder that fills is pushed; append-only")
def scheduler(hub: Hub):
    name, folder = hub.repo("dataset"), hub.tmp / "votes"
    folder.mkdir()
    with CommitScheduler(repo_id=name, repo_type="dataset", folder_path=folder, every=60) as scheduler:
        with scheduler.lock:
            (folder / "one.jsonl").write_text("{}\n")
        scheduler.trigger().result()
    assert "one.jsonl" in hub.api.list_repo_files(name, repo_type="dataset")
