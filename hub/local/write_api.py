"""Write API: handlers that change a repository, each for those with a write token."""

from __future__ import annotations

import base64
import json
from typing import Any

import yaml
from dulwich.ignore import IgnoreFilter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from hub.local import gitattributes
from hub.local.card import CARD_FILE, new_space_metadata
from hub.local.card_check import check_card
from hub.local.errors import HubError
from hub.local.files import Change, safe_path
from hub.local.large import LFS_THRESHOLD
from hub.local.request import (
    is_private,
    json_body,
    open_repo,
    path_part,
    read_limited,
    repo_type,
    repo_url,
    require_field,
    require_writer,
    store_of,
    target,
)
from hub.local.space_state import configure
from hub.local.spaces import restart_after_change

COMMIT_LIMIT = 512 * 1024 * 1024
"""Bytes of one commit: files below 10 MB travel in it, in base64."""


async def create(request: Request) -> Response:
    """Makes a repository, with a README where a license or a Space asks for one, and files; 409 where it exists."""
    user, body = require_writer(request), await json_body(request)
    type, name = _named(body, user)
    settings = {"private": is_private(body), "sdk": body.get("sdk")}
    files = first_files(type, name, body)
    if await run_in_threadpool(store_of(request).create, type, name, settings, user, files):
        if type == "space":
            configure(store_of(request), name, body)
        return JSONResponse({"url": repo_url(request, type, name), "name": name, "id": name})
    request.state.body = {"url": repo_url(request, type, name)}
    raise HubError(409, "Conflict", f"You already created this {type} repo: {name}")


async def delete(request: Request) -> Response:
    """Deletes a repository."""
    user, body = require_writer(request), await json_body(request)
    type, name = _named(body, user)
    await run_in_threadpool(store_of(request).delete, type, name)
    if type == "space" and request.app.state.runner:
        await run_in_threadpool(request.app.state.runner.stop, name)
    return Response()


async def settings(request: Request) -> Response:
    """Makes a repository public or private."""
    require_writer(request)
    body = await json_body(request)
    changes = {"private": is_private(body)} if {"visibility", "private"} & body.keys() else {}
    if body.get("gated"):
        raise HubError(400, "NotSupported", "the local Hub has no gated repositories")
    store_of(request).change_settings(*target(request), changes)
    return JSONResponse(changes)


def first_files(type: str, name: str, body: dict[str, Any]) -> list[Change]:
    """Files of a new repository: a README that its license, or its being a Space, makes; then those that are sent.

    Raises:
        HubError: one of them cannot be, or the license is unknown.
    """
    metadata = {"license": body["license"]} if body.get("license") else {}
    if type == "space":
        metadata = new_space_metadata(name, str(body.get("sdk") or "gradio")) | metadata
    readme = f"---\n{yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)}---\n"
    try:
        sent = [_change("file", **file) for file in body.get("files") or []]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HubError(400, "BadRequest", f"the files cannot be read: {error}") from error
    changes = [*([Change(CARD_FILE, content=readme.encode())] if metadata else []), *sent]
    check_cards(changes, type)
    return changes


def check_cards(changes: list[Change], type: str) -> None:
    """Refuses a commit whose README has metadata that the real Hub refuses. Raises HubError with what is wrong."""
    for change in changes:
        if change.path == CARD_FILE and change.content is not None:
            errors, _ = check_card(change.content.decode("utf-8", "replace"), type)
            if errors:
                raise HubError(400, "BadRequest", "Invalid metadata in README.md. " + "; ".join(errors))


def _named(body: dict[str, Any], user: str) -> tuple[str, str]:
    return repo_type(body), f"{body.get('organization') or user}/{require_field(body, 'name')}"


async def validate_yaml(request: Request) -> Response:
    """Checks the YAML at the head of a card; as text for a client that takes no JSON."""
    body = await json_body(request)
    errors, warnings = check_card(require_field(body, "content"), str(body.get("repoType") or "model"))
    status = 400 if errors else 200
    if request.headers.get("accept", "").startswith("text/plain"):
        lines = [f"- {kind}: {said}" for kind, all in (("Error", errors), ("Warning", warnings)) for said in all]
        return PlainTextResponse("\n".join(lines), status)
    found = {"errors": errors, "warnings": warnings}
    return JSONResponse({kind: [{"message": said} for said in all] for kind, all in found.items()}, status)


async def preupload(request: Request) -> Response:
    """Says of each file whether it comes with the commit or beforehand as a large one, and what is there now."""
    require_writer(request)
    body = await json_body(request)
    wanted, answers = require_field(body, "files", list), []
    with open_repo(request) as repo:
        commit = repo.commit_at(path_part(request, "rev"))
        there = repo.file(commit, ".gitignore")
        rules = body["gitIgnore"].encode() if body.get("gitIgnore") else repo.content(there) if there else b""
        ignored = IgnoreFilter(rules.splitlines())
        attributes = repo.file(commit, gitattributes.GITATTRIBUTES)
        tracked = gitattributes.lfs_rules(repo.content(attributes) if attributes else b"")
        for entry in wanted:
            path = safe_path(require_field(entry, "path"))
            present = repo.file(commit, path)
            mode = "lfs" if require_field(entry, "size", int) > LFS_THRESHOLD or tracked(path) else "regular"
            oid = (present.large or present.blob) if present else None
            answers.append(
                {"path": path, "uploadMode": mode, "shouldIgnore": bool(ignored.is_ignored(path)), "oid": oid}
            )
    return JSONResponse({"files": answers})


async def commit(request: Request) -> Response:
    """Applies a commit in NDJSON to a branch."""
    user, (type, name) = require_writer(request), target(request)
    if "create_pr" in request.query_params:
        raise HubError(400, "NotSupported", "the local Hub has no pull requests; commit to a branch")
    header, changes = read_commit(await read_limited(request, COMMIT_LIMIT))
    check_cards(changes, type)
    message = "\n\n".join(filter(None, (header.get("summary"), header.get("description")))) or "commit"

    def write() -> str:
        with store_of(request).open(type, name) as repo:
            return repo.commit(path_part(request, "rev"), header.get("parentCommit"), changes, message, user)

    oid = await run_in_threadpool(write)
    if type == "space" and path_part(request, "rev") == "main":
        await restart_after_change(request, name)
    url = f"{repo_url(request, type, name)}/commit/{oid}"
    return JSONResponse({"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""})


def read_commit(body: bytes) -> tuple[dict[str, Any], list[Change]]:
    """Reads the NDJSON of a commit: its header, and the changes in their order.

    Raises:
        HubError: a line cannot be understood.
    """
    header: dict[str, Any] = {}
    changes = []
    try:
        for line in filter(None, body.split(b"\n")):
            item = json.loads(line)
            if item["key"] == "header":
                header = item["value"]
            else:
                changes.append(_change(item["key"], **item["value"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HubError(400, "BadRequest", f"the commit cannot be read: {error}") from error
    return header, changes


def _change(key: str, path: str, **value: Any) -> Change:
    match key:
        case "file" if value.get("encoding") == "base64":
            return Change(path, content=base64.b64decode(value["content"], validate=True))
        case "file":
            return Change(path, content=value["content"].encode())
        case "lfsFile":
            return Change(path, large=value["oid"])
        case "copyFile":
            return Change(path, source=value["srcPath"], source_revision=value.get("srcRevision"))
        case "deletedFile" | "deletedFolder":
            return Change(path.rstrip("/"), folder=key == "deletedFolder")
    raise ValueError(f"unknown operation '{key}'")


async def add_branch(request: Request) -> Response:
    """Makes a branch at a revision, or without files (`emptyBranch`).

    `overwrite` moves one that is there, where it is said to what.
    """
    user, body = require_writer(request), await json_body(request)
    ref, start, empty = f"refs/heads/{path_part(request, 'rev')}", body.get("startingPoint"), body.get("emptyBranch")
    overwrite = bool(body.get("overwrite"))
    with open_repo(request) as repo:
        if not (overwrite and not start and not empty and ref in dict(repo.refs())):
            repo.add_ref(ref, None if empty else start or "main", user, overwrite)
    return Response(status_code=201)


async def add_tag(request: Request) -> Response:
    """Makes a tag at a revision."""
    user = require_writer(request)
    tag = require_field(await json_body(request), "tag")
    with open_repo(request) as repo:
        repo.add_ref(f"refs/tags/{tag}", path_part(request, "rev"), user)
    return Response(status_code=201)


def remove_branch(request: Request) -> Response:
    """Removes a branch; main stays."""
    require_writer(request)
    if path_part(request, "rev") == "main":
        raise HubError(403, "Forbidden", "Cannot delete refs/heads/main: the main branch stays")
    with open_repo(request) as repo:
        repo.remove_ref(f"refs/heads/{path_part(request, 'rev')}")
    return Response()


def remove_tag(request: Request) -> Response:
    """Removes a tag."""
    require_writer(request)
    with open_repo(request) as repo:
        repo.remove_ref(f"refs/tags/{path_part(request, 'rev')}")
    return Response()
