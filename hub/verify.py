"""Provenance check: every input of an artifact fetched at its commit, every hash computed again."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hub.lineage import LINEAGE_FILE, Input, Lineage, content_hash, fetch_lineage, file_hashes


def verify(repo: str, type: str, revision: str | None = None) -> Iterator[tuple[bool, str]]:
    """Yields, for an artifact and everything below it, whether it is as stated, and a line that says so.

    For each repository: it exists at that commit; every file of it, fetched, has the hash that the Hub gives; the
    content hash of an input is the one that was recorded when it was used; the fingerprint of a lineage is its own. A
    repository that several artifacts were made from is fetched once. A file that never was on a Hub (the corpus) is
    named, and cannot be checked here.
    """
    yield from _below(Input(repo, type, revision or "", ""), {})


def _below(source: Input, seen: dict[tuple[str, str, str], str]) -> Iterator[tuple[bool, str]]:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    name = f"{source.type} {source.repo}@{source.revision}"
    if source.type == "file":
        yield True, f"{name}: not on the Hub; compare its sha256 with your copy's"
        return
    try:
        info = HfApi().repo_info(
            source.repo, repo_type=source.type, revision=source.revision or None, files_metadata=True
        )
    except (RepositoryNotFoundError, RevisionNotFoundError):
        yield False, f"{name}: it is not there"
        return
    sha = str(info.sha)
    name = f"{source.type} {source.repo}@{sha}"
    key = (source.repo, source.type, sha)
    first = key not in seen
    hashes = file_hashes(info)
    if first:
        seen[key] = content_hash(hashes)
        wrong = [path for path, expected in hashes.items() if fetched_hash(source, sha, path, expected) != expected]
        yield not wrong, f"{name}: " + (f"{', '.join(wrong)} not as the Hub says" if wrong else f"{len(hashes)} files")
    if source.content and seen[key] != source.content:
        yield False, f"{name}: its content is not the one that was recorded when it was used"
    if first and LINEAGE_FILE in hashes:
        found = fetch_lineage(source.repo, source.type, sha)
        assert found
        if recorded_fingerprint(source, sha) != found[1].fingerprint:
            yield False, f"{name}: {LINEAGE_FILE} has been changed, its fingerprint is another's"
        yield from _inputs(found[1], seen)


def _inputs(lineage: Lineage, seen: dict[tuple[str, str, str], str]) -> Iterator[tuple[bool, str]]:
    for source in lineage.inputs:
        yield from _below(source, seen)


def fetched_hash(source: Input, sha: str, path: str, expected: str) -> str:
    """The hash of a file as it comes from the Hub now: sha256 where that is expected, else git's of the blob."""
    from huggingface_hub import hf_hub_download

    with tempfile.TemporaryDirectory() as folder:  # not from the cache, which is named by what it should hold
        file = Path(hf_hub_download(source.repo, path, repo_type=source.type, revision=sha, local_dir=folder))
        if len(expected) == 64:
            digest = hashlib.sha256()
        else:
            digest = hashlib.sha1(b"blob %d\0" % file.stat().st_size, usedforsecurity=False)
        with file.open("rb") as content:
            while chunk := content.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def recorded_fingerprint(source: Input, sha: str) -> str:
    """The fingerprint that lineage.json states, as it was written."""
    from huggingface_hub import hf_hub_download

    path = hf_hub_download(source.repo, LINEAGE_FILE, repo_type=source.type, revision=sha)
    return str(json.loads(Path(path).read_text("utf-8")).get("fingerprint"))
