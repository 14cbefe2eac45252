"""Read API: handlers of info, listings, history and downloads. Starlette runs them on threads."""

from __future__ import annotations

import mimetypes
import re
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from hub.local import json_shapes
from hub.local.card import front_matter
from hub.local.errors import HubError
from hub.local.model_files import model_facts
from hub.local.paging import paginate
from hub.local.repository import Repository
from hub.local.request import is_true, json_body, open_repo, path_part, require_field, require_reader, store_of, target
from hub.local.space_state import runtime_of
from hub.local.static_spaces import subdomain

_BYTES = "application/octet-stream"
MAX_PATHS = 100_000  # of one request
CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "ETag, X-Repo-Commit, X-Linked-Size"}
"""Any page may download what anybody may: a browser sends no token along with such a request."""
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")


def whoami(request: Request) -> Response:
    """Whose token it is, and its role."""
    access = require_reader(request)
    user, auth = access.user, {"accessToken": {"displayName": "local", "role": access.role}}
    return JSONResponse({"type": "user", "id": user, "name": user, "fullname": user, "orgs": [], "auth": auth})


def info(request: Request) -> Response:
    """A repository at a revision; of a Space, its runtime too."""
    type, name = target(request)
    store, revision = store_of(request), path_part(request, "rev", "main")
    with store.open(type, name) as repo:
        blobs = is_true(request.query_params.get("blobs"))
        found = _info(repo, name, revision, store.settings(type, name), blobs)
        if type == "model":
            found |= model_facts(repo, repo.commit_at(revision), found["cardData"])
    if type == "space":
        runtime = runtime_of(store, request.app.state.runner, name, str(request.base_url))
        found |= {"runtime": runtime, "host": runtime.get("host"), "subdomain": subdomain(name)}
    return JSONResponse(json_shapes.expanded(found, request.query_params))


def _info(repo: Repository, name: str, revision: str, settings: dict[str, Any], blobs: bool) -> json_shapes.Json:
    commit = repo.commit_at(revision)
    siblings = [json_shapes.sibling(file, blobs) for file in repo.files(commit)]
    return json_shapes.info(name, commit, front_matter(repo, revision), settings, siblings)


def tree(request: Request) -> Response:
    """The files and folders below a path, one level or all."""
    below, query = path_part(request, "path").strip("/"), request.query_params
    with open_repo(request) as repo:
        commit = repo.commit_at(path_part(request, "rev"))
        files, folders = repo.files(commit), repo.folders(commit)
        if below and below not in folders:
            raise HubError(404, "EntryNotFound", f"{below} does not exist on {path_part(request, 'rev')}")

        def wanted(path: str) -> bool:
            inside = path.removeprefix(f"{below}/") if below else path
            return (not below or inside != path) and (is_true(query.get("recursive")) or "/" not in inside)

        files = [file for file in files if wanted(file.path)]
        folders = {path: oid for path, oid in folders.items() if wanted(path)}
        last = repo.last_changes(commit) if is_true(query.get("expand")) else {}
        return paginate(request, json_shapes.entries(files, folders, last), 1000)


async def paths_info(request: Request) -> Response:
    """The files and folders at given paths."""
    if request.headers.get("content-type", "").startswith("application/json"):  # as JavaScript sends it
        body = await json_body(request)
        names, expand = require_field(body, "paths", list), bool(body.get("expand"))
    else:
        async with request.form(max_fields=MAX_PATHS) as form:
            names, expand = form.getlist("paths"), is_true(str(form.get("expand")))
    paths = {str(path).strip("/") for path in names}
    with open_repo(request) as repo:
        commit = repo.commit_at(path_part(request, "rev"))
        files = [file for file in repo.files(commit) if file.path in paths]
        folders = {path: oid for path, oid in repo.folders(commit).items() if path in paths}
        return JSONResponse(json_shapes.entries(files, folders, repo.last_changes(commit) if expand else {}))


def commits(request: Request) -> Response:
    """The history of a revision, newest first."""
    with open_repo(request) as repo:
        history = [json_shapes.commit(made) for made in repo.history(repo.commit_at(path_part(request, "rev")))]
        page = paginate(request, history, 50)
        page.headers["X-Total-Count"] = str(len(history))  # which JavaScript counts by
        return page


def refs(request: Request) -> Response:
    """Branches and tags."""
    with open_repo(request) as repo:
        found = json_shapes.refs(repo.refs())
    return JSONResponse(found | ({"pullRequests": []} if "include_prs" in request.query_params else {}))


def resolve(request: Request) -> Response:
    """Downloads a file: ETag and Range, and the content itself where the real Hub redirects to its CDN."""
    path = path_part(request, "path")
    with open_repo(request) as repo:
        commit = repo.commit_at(path_part(request, "rev"))
        headers = {
            "X-Repo-Commit": commit.id.decode(),
            "Accept-Ranges": "bytes",
            "X-Content-Type-Options": "nosniff",
            **CORS,
        }
        file = repo.file(commit, path)
        if file is None:
            request.state.headers = headers
            raise HubError(404, "EntryNotFound", f"Entry not found: {path}")
        headers["ETag"] = f'"{file.large or file.blob}"'
        if _unchanged(request, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        headers["Content-Disposition"] = f"inline; filename*=UTF-8''{quote(path.split('/')[-1], safe='')}"
        if file.large:
            headers |= {"X-Linked-ETag": headers["ETag"], "X-Linked-Size": str(file.size)}
            return FileResponse(repo.large_path(file), headers=headers, media_type=_media_type(path))
        wanted_range = request.headers.get("range", "")
        current = request.headers.get("if-range") in (None, headers["ETag"])
        headers["Content-Type"] = _media_type(path)
        return _ranged(wanted_range if current else "", repo.content(file), headers)


def _media_type(path: str) -> str:
    """Pictures as what they are, for pages; everything else, HTML above all, as bytes."""
    kind = mimetypes.guess_type(path)[0] or ""
    return kind if kind in PICTURES else _BYTES


def _unchanged(request: Request, etag: str) -> bool:
    """Whether the client has this content already (RFC 9110, 13.1).

    Raises:
        HubError: 412, it wants this content only while it is another one.
    """
    wanted = request.headers.get("if-match")
    if wanted and etag not in (tag.strip() for tag in wanted.split(",")) and wanted.strip() != "*":
        raise HubError(412, "PreconditionFailed", f"the content is {etag} now")
    had = request.headers.get("if-none-match", "")
    return had.strip() == "*" or etag in (tag.strip().removeprefix("W/") for tag in had.split(","))


def raw(request: Request) -> Response:
    """A file as git has it: of a large one, the pointer."""
    with open_repo(request) as repo:
        commit = repo.commit_at(path_part(request, "rev"))
        file = repo.file(commit, path_part(request, "path"))
        if file is None:
            raise HubError(404, "EntryNotFound", f"Entry not found: {path_part(request, 'path')}")
        headers = {"X-Repo-Commit": commit.id.decode(), "X-Content-Type-Options": "nosniff"}
        headers |= {"ETag": f'"{file.blob}"', "Accept-Ranges": "bytes", "Content-Type": "text/plain; charset=utf-8"}
        return _ranged(request.headers.get("range", ""), repo.content(file), headers)


def _ranged(wanted_range: str, content: bytes, headers: dict[str, str]) -> Response:
    """The bytes that a Range header asks for (RFC 9110, one range); all of them where it asks for nothing sensible."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted_range)
    if not found or found[0] == "bytes=-":
        return Response(content, headers=headers)
    size = len(content)
    first = int(found[1]) if found[1] else max(size - int(found[2]), 0)
    last = min(int(found[2]), size - 1) if found[1] and found[2] else size - 1
    if first > last:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{size}"})
    span = {"Content-Range": f"bytes {first}-{last}/{size}"}
    return Response(content[first : last + 1], 206, headers | span)
