"""JSON responses: repositories, files, commits and refs with the real Hub's fields."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import yaml
from dulwich.objects import Commit
from starlette.datastructures import QueryParams

from hub.local.files import File, pointer

Json = dict[str, Any]
ONLY_EXPANDED = ("baseModels",)
"""Fields that are given where they are named alone."""


def card_data(readme: str) -> Json:
    """The YAML front matter of a card.

    Raises:
        yaml.YAMLError: it is not YAML.
    """
    found = re.match(r"\ufeff?\s*---[ \t]*\r?\n(.*?)\r?\n---", readme, re.DOTALL)
    content = yaml.safe_load(found[1]) if found else None
    return content if isinstance(content, dict) else {}


def info(name: str, commit: Commit, card: Json, settings: Json, siblings: list[Json]) -> Json:
    """A repository, as `model_info`, `dataset_info` and `space_info` read it."""
    return {
        "_id": name,
        "id": name,
        "modelId": name,
        "author": name.split("/")[0],
        "sha": commit.id.decode(),
        "lastModified": timestamp(commit.commit_time),
        "createdAt": timestamp(settings.get("created", commit.commit_time)),
        "private": settings["private"],
        "gated": False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "sdk": settings.get("sdk"),
        "tags": tags(card),
        "trendingScore": 0,
        "library_name": card.get("library_name"),
        "pipeline_tag": card.get("pipeline_tag"),
        "cardData": json.loads(json.dumps(card, default=str)),
        "siblings": siblings,
    }


def expanded(entry: Json, query: QueryParams) -> Json:
    """The fields that a request names with `expand`; all of them where it names none."""
    wanted = query.getlist("expand") + query.getlist("expand[]")
    if not wanted:
        return {key: value for key, value in entry.items() if key not in ONLY_EXPANDED}
    return {key: entry[key] for key in ("_id", "id", *wanted) if key in entry}


def tags(card: Json) -> list[str]:
    """A card's tags and those that the Hub derives from its other fields, as clients filter by them."""
    found = [str(tag) for tag in _list(card.get("tags"))]
    found += [str(card[key]) for key in ("library_name", "pipeline_tag") if card.get(key)]
    for key, kind in (
        ("datasets", "dataset"),
        ("base_model", "base_model"),
        ("language", ""),
        ("license", "license"),
        ("task_categories", "task_categories"),
        ("size_categories", "size_categories"),
    ):
        found += [f"{kind}:{value}" if kind else str(value) for value in _list(card.get(key))]
    relation = card.get("base_model_relation")
    found += [f"base_model:{relation}:{base}" for base in _list(card.get("base_model")) if relation]
    return list(dict.fromkeys(found))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


def sibling(file: File, blobs: bool) -> Json:
    """A file in the list of a repository; with `blobs`, also its size and hashes."""
    if not blobs:
        return {"rfilename": file.path}
    return {"rfilename": file.path, "size": file.size, "blobId": file.blob, **_lfs(file)}


def entries(files: list[File], folders: dict[str, str], last: dict[str, Commit]) -> list[Json]:
    """A listing of files and folders (path to tree sha); `last` says who changed what, if asked for."""
    found = [{"type": "directory", "oid": oid, "size": 0, "path": path} for path, oid in folders.items()]
    found += [{"type": "file", "oid": file.blob, "size": file.size, "path": file.path, **_lfs(file)} for file in files]
    for entry in found:
        if entry["path"] in last:
            entry["lastCommit"] = commit(last[entry["path"]])
    return sorted(found, key=lambda entry: entry["path"])


def commit(made: Commit) -> Json:
    """A commit, as `list_repo_commits` reads it."""
    title, _, message = made.message.decode("utf-8", "replace").partition("\n")
    author = made.author.decode("utf-8", "replace").split(" <")[0]
    date = timestamp(made.commit_time)
    return {
        "id": made.id.decode(),
        "title": title,
        "message": message.strip(),
        "authors": [{"user": author}],
        "date": date,
    }


def refs(found: Iterable[tuple[str, str]]) -> Json:
    """Branches and tags, as `list_repo_refs` reads them."""
    lists: dict[str, list[Json]] = {"branches": [], "tags": [], "converts": []}
    for ref, sha in found:
        for kind, prefix in (("branches", "refs/heads/"), ("tags", "refs/tags/")):
            if ref.startswith(prefix):
                lists[kind].append({"name": ref.removeprefix(prefix), "ref": ref, "targetCommit": sha})
    return lists


def timestamp(seconds: int) -> str:
    """Seconds since 1970 as ISO 8601 in UTC, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _lfs(file: File) -> Json:
    if not file.large:
        return {}
    size = len(pointer(file.large, file.size))
    return {"lfs": {"oid": file.large, "sha256": file.large, "size": file.size, "pointerSize": size}}
