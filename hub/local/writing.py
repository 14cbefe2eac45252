"""Handlers that change a repository, each for those with a token."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

import yaml
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.local import shapes
from hub.local.errors import HubError
from hub.local.files import Change, safe_path
from hub.local.large import is_large
from hub.local.request import address, body_of, field, opened, part, store_of, target, writer
from hub.local.space_state import configure
from hub.local.spaces import changed
from hub.local.store import TYPES


async def create(request: Request) -> Response:
    user, body = writer(request), await body_of(request)
    type, name = _named(body, user)
    settings = {"private": _private(body), "sdk": body.get("sdk")}
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
    store_of(request).change_settings(*target(request), {"private": _private(body)})
    return JSONResponse({"private": _private(body)})


def _named(body: dict[str, Any], user: str) -> tuple[str, str]:
    type = body.get("type") or "model"
    if type not in TYPES:
        raise HubError(400, "InvalidType", f"'{type}' is not a repository type here; take one of {', '.join(TYPES)}")
    return type, f"{body.get('organization') or user}/{field(body, 'name')}"


def _private(body: dict[str, Any]) -> bool:
    """Clients of today say `visibility`; the HTTP API takes `private` as well."""
    return body.get("visibility", "private" if body.get("private") else "public") == "private"


async def validate_yaml(request: Request) -> Response:
    content = field(await body_of(request), "content")
    try:
        shapes.card_data(content)
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


async def lfs_batch(request: Request) -> Response:
    """Tells a client where to put the large files that are not here yet (git-lfs, docs/api/batch.md)."""
    writer(request)
    target(request)
    body = await body_of(request)
    if body.get("operation") != "upload":
        raise HubError(400, "BadRequest", "large files are downloaded through /resolve/")
    large, base, objects = store_of(request).large, str(request.base_url), []
    for wanted in field(body, "objects", list):
        oid, size = field(wanted, "oid"), field(wanted, "size", int)
        answer: dict[str, Any] = {"oid": oid, "size": size}
        if large.size(oid) is None:
            upload = {"href": f"{base}large/{oid}?signature={_signature(request, oid)}"}
            answer["actions"] = {"upload": upload, "verify": {"href": f"{base}large/verify"}}
        objects.append(answer)
    return JSONResponse({"transfer": "basic", "objects": objects}, media_type="application/vnd.git-lfs+json")


def _signature(request: Request, oid: str) -> str:
    """Lets one upload in without a token, as the presigned addresses of the real Hub do."""
    return hmac.new(request.app.state.secret, oid.encode(), "sha256").hexdigest()


async def put_large(request: Request) -> Response:
    oid = part(request, "oid")
    if not hmac.compare_digest(request.query_params.get("signature", "").encode(), _signature(request, oid).encode()):
        raise HubError(403, "Forbidden", "This upload address is not valid.")
    await store_of(request).large.receive(oid, request.stream())
    return Response()


async def verify_large(request: Request) -> Response:
    writer(request)
    body = await body_of(request)
    if store_of(request).large.size(field(body, "oid")) != field(body, "size", int):
        raise HubError(404, "LfsMissing", f"{body['oid']} is not here with {body['size']} bytes")
    return Response()


async def commit(request: Request) -> Response:
    user, (type, name) = writer(request), target(request)
    if "create_pr" in request.query_params:
        raise HubError(400, "NotSupported", "the local Hub has no pull requests; commit to a branch")
    header, changes = read_commit(await request.body())
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
            return Change(path, source=value["srcPath"])
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
