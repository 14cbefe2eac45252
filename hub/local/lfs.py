"""Git LFS API (git-lfs, docs/api/batch.md): batch gives signed addresses, then PUT or GET, then verify."""

from __future__ import annotations

import hmac
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response

from hub.local.errors import HubError
from hub.local.paging import query_number
from hub.local.repository import Repository
from hub.local.request import json_body, open_repo, path_part, require_field, require_writer, store_of, target

_JSON = "application/vnd.git-lfs+json"
VALID = 24 * 3600
"""Seconds for which a signed address is good, also after a restart."""


NO_XET = "/this-hub-has-no-Xet/set/HF_HUB_DISABLE_XET=1"
"""Where a client that asks for Xet is sent: of the answer hf_xet shows the status and the address alone."""


def xet_token(request: Request) -> Response:
    """Sends a client that uploads by Xet to its refusal."""
    return RedirectResponse(NO_XET)


def refuse_xet(request: Request) -> Response:
    """Says how large files come here. Raises HubError, always."""
    raise HubError(
        400,
        "NotSupported",
        "the local Hub takes large files by LFS, not by Xet; set HF_HUB_DISABLE_XET=1",
    )


async def batch(request: Request) -> Response:
    """Tells a client where to put the large files that are not here yet, or where to get those of a repository."""
    body = await json_body(request)
    wanted = [
        (require_field(item, "oid"), require_field(item, "size", int)) for item in require_field(body, "objects", list)
    ]
    match body.get("operation"):
        case "upload":
            require_writer(request)
            target(request)
            answers = [_upload(request, oid, size) for oid, size in wanted]
        case "download":
            with open_repo(request) as repo:
                answers = [_download(request, repo, oid, size) for oid, size in wanted]
        case other:
            raise HubError(400, "BadRequest", f"'{other}' is not an operation of git-lfs")
    return JSONResponse({"transfer": "basic", "objects": answers}, media_type=_JSON)


def _upload(request: Request, oid: str, size: int) -> dict[str, Any]:
    if store_of(request).large.size(oid) is not None:
        return {"oid": oid, "size": size}
    actions = {"upload": _action(request, "PUT", oid), "verify": {"href": f"{request.base_url}large/verify"}}
    return {"oid": oid, "size": size, "actions": actions}


def _download(request: Request, repo: Repository, oid: str, size: int) -> dict[str, Any]:
    """Only what the repository itself holds: its hash alone opens nobody's private file."""
    if not _holds(repo, oid) or store_of(request).large.size(oid) != size:
        return {"oid": oid, "size": size, "error": {"code": 404, "message": f"{oid} is not in this repository"}}
    return {"oid": oid, "size": size, "authenticated": True, "actions": {"download": _action(request, "GET", oid)}}


def _holds(repo: Repository, oid: str) -> bool:
    """Whether any commit of any branch or tag has this large file."""
    commits = (commit for _, head in repo.refs() for commit in repo.history(repo.commit_at(head)))
    return any(file.large == oid for commit in commits for file in repo.files(commit))


def _action(request: Request, method: str, oid: str) -> dict[str, str]:
    end = int(time.time()) + VALID
    return {"href": f"{request.base_url}large/{oid}?expires={end}&signature={_signature(request, method, oid, end)}"}


def _signature(request: Request, method: str, oid: str, end: int) -> str:
    """Opens one address for one purpose without a token until a time, as the real Hub's presigned addresses do."""
    return hmac.new(request.app.state.secret, f"{method} {oid} {end}".encode(), "sha256").hexdigest()


def _signed(request: Request, method: str) -> str:
    oid, end = path_part(request, "oid"), query_number(request, "expires", 0, digits=12)
    signature = request.query_params.get("signature", "").encode()
    if not hmac.compare_digest(signature, _signature(request, method, oid, end).encode()) or time.time() > end:
        raise HubError(403, "Forbidden", "This address is not valid, or no longer; ask for a new one.")
    return oid


def get(request: Request) -> Response:
    """Sends a large file to whoever has its signed address."""
    return FileResponse(store_of(request).large.path(_signed(request, "GET")), media_type="application/octet-stream")


async def put(request: Request) -> Response:
    """Takes a large file from whoever has its signed address."""
    await store_of(request).large.receive(_signed(request, "PUT"), request.stream())
    return Response()


async def verify(request: Request) -> Response:
    """Confirms that a large file has arrived with the size that the client means."""
    require_writer(request)
    body = await json_body(request)
    if store_of(request).large.size(require_field(body, "oid")) != require_field(body, "size", int):
        raise HubError(404, "LfsMissing", f"{body['oid']} is not here with {body['size']} bytes")
    return Response()
