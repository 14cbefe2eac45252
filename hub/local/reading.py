"""Handlers that change nothing: info, listings, history and downloads. Starlette runs them on threads."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from hub.local import shapes
from hub.local.card import front_matter
from hub.local.errors import HubError
from hub.local.repository import Repository
from hub.local.request import flag, opened, part, store_of, target, user_of, writer
from hub.local.space_state import runtime_of
from hub.local.store import TYPES

_BYTES = "application/octet-stream"


def whoami(request: Request) -> Response:
    user = writer(request)
    access = {"accessToken": {"displayName": "local", "role": "write"}}
    return JSONResponse({"type": "user", "id": user, "name": user, "fullname": user, "orgs": [], "auth": access})


def listing(request: Request) -> Response:
    type = part(request, "types").removesuffix("s")
    if type not in TYPES:
        raise HubError(404, "NotFound", "Not found")
    author, search = request.query_params.get("author"), request.query_params.get("search", "").lower()
    store, found = store_of(request), []
    for name in store.names(type):
        if search in name.lower() and author in (None, name.split("/")[0]):
            settings = store.settings(type, name)
            if user_of(request) or not settings["private"]:
                with store.open(type, name) as repo:
                    found.append(_info(repo, name, "main", settings, blobs=False))
    limit = request.query_params.get("limit", "")
    return JSONResponse(found[: int(limit)] if limit.isdecimal() else found)


def info(request: Request) -> Response:
    type, name = target(request)
    store, revision = store_of(request), part(request, "rev", "main")
    with store.open(type, name) as repo:
        blobs = flag(request.query_params.get("blobs"))
        found = _info(repo, name, revision, store.settings(type, name), blobs)
    if type == "space":
        runtime = runtime_of(store, request.app.state.runner, name)
        found |= {"runtime": runtime, "host": runtime.get("host"), "subdomain": re.sub(r"[\W_]+", "-", name.lower())}
    return JSONResponse(found)


def _info(repo: Repository, name: str, revision: str, settings: dict[str, Any], blobs: bool) -> shapes.Json:
    commit = repo.commit_at(revision)
    siblings = [shapes.sibling(file, blobs) for file in repo.files(commit)]
    return shapes.info(name, commit, front_matter(repo, revision), settings, siblings)


def tree(request: Request) -> Response:
    below, query = part(request, "path").strip("/"), request.query_params
    with opened(request) as repo:
        commit = repo.commit_at(part(request, "rev"))
        files, folders = repo.files(commit), repo.folders(commit)
        if below and below not in folders:
            raise HubError(404, "EntryNotFound", f"{below} does not exist on {part(request, 'rev')}")

        def wanted(path: str) -> bool:
            inside = path.removeprefix(f"{below}/") if below else path
            return (not below or inside != path) and (flag(query.get("recursive")) or "/" not in inside)

        files = [file for file in files if wanted(file.path)]
        folders = {path: oid for path, oid in folders.items() if wanted(path)}
        last = repo.last_changes(commit) if flag(query.get("expand")) else {}
        return JSONResponse(shapes.entries(files, folders, last))


async def paths_info(request: Request) -> Response:
    async with request.form() as form:
        paths = {str(path).rstrip("/") for path in form.getlist("paths")}
        expand = flag(str(form.get("expand")))
    with opened(request) as repo:
        commit = repo.commit_at(part(request, "rev"))
        files = [file for file in repo.files(commit) if file.path in paths]
        folders = {path: oid for path, oid in repo.folders(commit).items() if path in paths}
        return JSONResponse(shapes.entries(files, folders, repo.last_changes(commit) if expand else {}))


def commits(request: Request) -> Response:
    with opened(request) as repo:
        return JSONResponse([shapes.commit(made) for made in repo.history(repo.commit_at(part(request, "rev")))])


def refs(request: Request) -> Response:
    with opened(request) as repo:
        return JSONResponse(shapes.refs(repo.refs()))


def resolve(request: Request) -> Response:
    path = part(request, "path")
    with opened(request) as repo:
        commit = repo.commit_at(part(request, "rev"))
        headers = {"X-Repo-Commit": commit.id.decode(), "Accept-Ranges": "bytes"}
        file = repo.file(commit, path)
        if file is None:
            request.state.headers = headers
            raise HubError(404, "EntryNotFound", f"Entry not found: {path}")
        headers["ETag"] = f'"{file.large or file.blob}"'
        headers["Content-Disposition"] = f"inline; filename*=UTF-8''{quote(path.split('/')[-1], safe='')}"
        if file.large:
            headers |= {"X-Linked-ETag": headers["ETag"], "X-Linked-Size": str(file.size)}
            return FileResponse(repo.large_path(file), headers=headers, media_type=_BYTES)
        return _ranged(request.headers.get("range", ""), repo.content(file), headers)


def _ranged(asked: str, content: bytes, headers: dict[str, str]) -> Response:
    """The bytes that a Range header asks for (RFC 9110, one range); all of them where it asks for nothing sensible."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", asked)
    if not found or found[0] == "bytes=-":
        return Response(content, headers=headers, media_type=_BYTES)
    size = len(content)
    first = int(found[1]) if found[1] else max(size - int(found[2]), 0)
    last = min(int(found[2]), size - 1) if found[1] and found[2] else size - 1
    if first > last:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{size}"})
    span = {"Content-Range": f"bytes {first}-{last}/{size}"}
    return Response(content[first : last + 1], 206, headers | span, _BYTES)
