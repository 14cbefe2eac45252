"""Handlers that change a repository, each for those with a token."""

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
    address,
    body_of,
    field,
    opened,
    part,
    private,
    read_limited,
    store_of,
    target,
    typed,
    writer,
)
from hub.local.space_state import configure
from hub.local.spaces import changed

COMMIT_LIMIT = 512 * 1024 * 1024
"""Bytes of one commit: files below 10 MB travel in it, in base64."""


async def create(request: Request) -> Response:
    user, body = writer(request), await body_of(request)
    type, name = _named(body, user)
    settings = {"private": private(body), "sdk": body.get("sdk")}
    if await run_in_threadpool(store_of(request).create, type, name, settings, user):
        if type == "space":
            configure(store_of(request), name, body)
        return JSONResponse({"url": address(request, type, name), "name": name, "id": name})
    request.state.body = {"url": address(request, type, name)}
    raise HubError(409, "Conflict", f"You already created this {type} repo: {name}")


async def delete(request: Request) -> Response:
    user, body = writer(request), await body_of(request)
    type, name = _named(body, user)
    await run_in_threadpool(store_of(request).delete, type, name)
    if type == "space" and request.app.state.runner:
        await run_in_threadpool(request.app.state.runner.stop, name)
    return Response()


async def settings(request: Request) -> Response:
    writer(request)
    body = await body_of(request)
    changes = {"private": private(body)} if {"visibility", "private"} & body.keys() else {}
    if body.get("gated"):
        raise HubError(400, "NotSupported", "the local Hub has no gated repositories")
    store_of(request).change_settings(*target(request), changes)
    return JSONResponse(changes)


def _named(body: dict[str, Any], user: str) -> tuple[str, str]:
    return typed(body), f"{body.get('organization') or user}/{field(body, 'name')}"


async def validate_yaml(request: Request) -> Response:
    content = field(await body_of(request), "content")
    try:
        json_shapes.card_data(content)
    except yaml.YAMLError as error:
        return JSONResponse({"errors": [{"message": " ".join(str(error).split())}], "warnings": []}, 400)
    return JSONResponse({"errors": [], "warnings": []})


async def preupload(request: Request) -> Response:
    """Says of each file whether it comes with the commit or beforehand as a large one, and what is there now."""
    writer(request)
    wanted = field(await body_of(request), "files", list)
    answers = []
    with opened(request) as repo:
        commit = repo.commit_at(part(request, "rev"))
        for asked in wanted:
            path = safe_path(field(asked, "path"))
            present = repo.file(commit, path)
            mode = "lfs" if is_large(path, field(asked, "size", int)) else "regular"
            oid = (present.large or present.blob) if present else None
            answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
    return JSONResponse({"files": answers})


async def commit(request: Request) -> Response:
    user, (type, name) = writer(request), target(request)
    if "create_pr" in request.query_params:
        raise HubError(400, "NotSupported", "the local Hub has no pull requests; commit to a branch")
    header, changes = read_commit(await read_limited(request, COMMIT_LIMIT))
    message = "\n\n".join(filter(None, (header.get("summary"), header.get("description")))) or "commit"

    def write() -> str:
        with store_of(request).open(type, name) as repo:
            return repo.commit(part(request, "rev"), header.get("parentCommit"), changes, message, user)

    oid = await run_in_threadpool(write)
    if type == "space" and part(request, "rev") == "main":
        await changed(request, name)
    url = f"{address(request, type, name)}/commit/{oid}"
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
    writer(request)
    start = (await body_of(request)).get("startingPoint") or "main"
    with opened(request) as repo:
        repo.add_ref(f"refs/heads/{part(request, 'rev')}", start)
    return Response(status_code=201)


async def add_tag(request: Request) -> Response:
    writer(request)
    tag = field(await body_of(request), "tag")
    with opened(request) as repo:
        repo.add_ref(f"refs/tags/{tag}", part(request, "rev"))
    return Response(status_code=201)


def remove_branch(request: Request) -> Response:
    writer(request)
    if part(request, "rev") == "main":
        raise HubError(403, "Forbidden", "The main branch stays.")
    with opened(request) as repo:
        repo.remove_ref(f"refs/heads/{part(request, 'rev')}")
    return Response()


def remove_tag(request: Request) -> Response:
    writer(request)
    with opened(request) as repo:
        repo.remove_ref(f"refs/tags/{part(request, 'rev')}")
    return Response()
