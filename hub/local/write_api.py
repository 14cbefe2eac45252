"""Write API: handlers that change a repository, each for those with a write token."""

from __future__ import annotations

import base64
import json
from typing import Any

import yaml
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.local import json_shapes
from hub.local.errors import HubError
from hub.local.files import Change, safe_path
from hub.local.large import is_large
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
    """Makes a repository; 409 where it exists."""
    user, body = require_writer(request), await json_body(request)
    type, name = _named(body, user)
    settings = {"private": is_private(body), "sdk": body.get("sdk")}
    if await run_in_threadpool(store_of(request).create, type, name, settings, user):
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


def _named(body: dict[str, Any], user: str) -> tuple[str, str]:
    return repo_type(body), f"{body.get('organization') or user}/{require_field(body, 'name')}"


async def validate_yaml(request: Request) -> Response:
    """Checks the YAML at the head of a card."""
    content = require_field(await json_body(request), "content")
    try:
        json_shapes.card_data(content)
    except yaml.YAMLError as error:
        return JSONResponse({"errors": [{"message": " ".join(str(error).split())}], "warnings": []}, 400)
    return JSONResponse({"errors": [], "warnings": []})


async def preupload(request: Request) -> Response:
    """Says of each file whether it comes with the commit or beforehand as a large one, and what is there now."""
    require_writer(request)
    wanted = require_field(await json_body(request), "files", list)
    answers = []
    with open_repo(request) as repo:
        commit = repo.commit_at(path_part(request, "rev"))
        for entry in wanted:
            path = safe_path(require_field(entry, "path"))
            present = repo.file(commit, path)
            mode = "lfs" if is_large(path, require_field(entry, "size", int)) else "regular"
            oid = (present.large or present.blob) if present else None
            answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
    return JSONResponse({"files": answers})


async def commit(request: Request) -> Response:
    """Applies a commit in NDJSON to a branch."""
    user, (type, name) = require_writer(request), target(request)
    if "create_pr" in request.query_params:
        raise HubError(400, "NotSupported", "the local Hub has no pull requests; commit to a branch")
    header, changes = read_commit(await read_limited(request, COMMIT_LIMIT))
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
    """Makes a branch at a revision."""
    require_writer(request)
    start = (await json_body(request)).get("startingPoint") or "main"
    with open_repo(request) as repo:
        repo.add_ref(f"refs/heads/{path_part(request, 'rev')}", start)
    return Response(status_code=201)


async def add_tag(request: Request) -> Response:
    """Makes a tag at a revision."""
    require_writer(request)
    tag = require_field(await json_body(request), "tag")
    with open_repo(request) as repo:
        repo.add_ref(f"refs/tags/{tag}", path_part(request, "rev"))
    return Response(status_code=201)


def remove_branch(request: Request) -> Response:
    """Removes a branch; main stays."""
    require_writer(request)
    if path_part(request, "rev") == "main":
        raise HubError(403, "Forbidden", "The main branch stays.")
    with open_repo(request) as repo:
        repo.remove_ref(f"refs/heads/{path_part(request, 'rev')}")
    return Response()


def remove_tag(request: Request) -> Response:
    """Removes a tag."""
    require_writer(request)
    with open_repo(request) as repo:
        repo.remove_ref(f"refs/tags/{path_part(request, 'rev')}")
    return Response()
