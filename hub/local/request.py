"""Request parsing and authorization: the repository, the token's rights, the body and its limits."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from starlette.requests import Request

from hub.local.errors import HubError
from hub.local.repository import Repository
from hub.local.store import TYPES, Store
from hub.local.tokens import Access

JSON_LIMIT = 16 * 1024 * 1024
"""Bytes of a request that is one JSON object: 10,000 paths of a preupload with their samples fit."""
SLASH = "\x1f"
"""Stands for a `%2F` within one part of an address (`feature/x` as a revision), which is no border between parts."""


def store_of(request: Request) -> Store:
    """The store that the application serves."""
    return request.app.state.store


def path_part(request: Request, name: str, default: str = "") -> str:
    """A named part of the address, slashes restored."""
    return request.path_params.get(name, default).replace(SLASH, "/")


def is_true(value: str | None) -> bool:
    """Whether a query value means yes."""
    return (value or "").lower() in ("true", "1")


def repo_path(type: str, name: str) -> str:
    """Where a repository stands: models at the root, datasets and Spaces below their names."""
    return f"/{name}" if type == "model" else f"/{type}s/{name}"


def repo_url(request: Request, type: str, name: str) -> str:
    """The address of a repository on this server."""
    return str(request.base_url).rstrip("/") + repo_path(type, name)


def access_of(request: Request) -> Access | None:
    """What the token allows; None without one.

    git, git-lfs and browsers send it as a password, and that only reads: a browser adds a password that it remembers to
    what any page makes it send.

    Raises:
        HubError: there is a token, and nobody knows it. The real Hub refuses that for public things as well.
    """
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    if not given:
        return None
    if kind.lower() == "basic":
        with suppress(ValueError):
            given = base64.b64decode(given).decode().partition(":")[2]
    access = request.app.state.tokens.access(given)
    if access is None:
        raise HubError(401, "Unauthorized", "Invalid credentials in Authorization header")
    return Access(access.user, "read") if kind.lower() == "basic" else access


def user_of(request: Request) -> str | None:
    """Whose token it is; None without one."""
    access = access_of(request)
    return access.user if access else None


def require_reader(request: Request) -> Access:
    """What a visitor with a token may do.

    Raises:
        HubError: 401 with the real Hub's words.
    """
    access = access_of(request)
    if access is None:
        request.state.headers = {"WWW-Authenticate": 'Basic realm="the local Hub"'}  # git asks for a password then
        raise HubError(401, "Unauthorized", "Invalid username or password.")
    return access


def require_writer(request: Request) -> str:
    """The user who may write.

    Raises:
        HubError: 401 without a token, 403 with one that may only read.
    """
    access = require_reader(request)
    if access.role != "write":
        raise HubError(403, "Forbidden", "you must use a write token to upload to a repository")
    return access.user


def target(request: Request) -> tuple[str, str]:
    """Type and name of the repository that the address means; a private one exists only for those with a token."""
    kinds = {f"{type}s": type for type in TYPES}
    type = kinds.get(path_part(request, "types") or request.url.path.split("/")[1], "model")
    if path_part(request, "types") not in ("", *kinds):
        raise HubError(404, "NotFound", f"No such thing here: {request.url.path}")
    name = f"{path_part(request, 'ns')}/{path_part(request, 'name')}"
    if access_of(request) is None:
        try:
            hidden = store_of(request).settings(type, name)["private"]
        except HubError:
            hidden = True  # a stranger cannot tell what is private from what is not there
        if hidden:
            request.state.headers = {"WWW-Authenticate": 'Basic realm="the local Hub"'}
            raise HubError(401, "RepoNotFound", "Invalid username or password.")
    store_of(request).existing(type, name)
    return type, store_of(request).canonical(type, name)


def repo_type(body: dict[str, Any]) -> str:
    """The type of repository that a request is about."""
    type = body.get("type") or "model"
    if type not in TYPES:
        raise HubError(400, "InvalidType", f"'{type}' is not a repository type here; take one of {', '.join(TYPES)}")
    return type


def is_private(body: dict[str, Any]) -> bool:
    """Clients of today say `visibility`; the HTTP API takes `private` as well."""
    visibility = body.get("visibility", "private" if body.get("private") else "public")
    if visibility not in ("private", "public"):
        raise HubError(400, "NotSupported", f"a repository is public or private here, not '{visibility}'")
    return visibility == "private"


@contextmanager
def open_repo(request: Request) -> Iterator[Repository]:
    """The repository that the address means."""
    with store_of(request).open(*target(request)) as repo:
        yield repo


async def read_limited(request: Request, limit: int) -> bytes:
    """A request's body.

    Raises:
        HubError: it is larger than `limit` bytes; no more than that is held.
    """
    announced = request.headers.get("content-length", "0")
    body = bytearray()
    if announced.isdecimal() and int(announced) > limit:
        raise HubError(413, "PayloadTooLarge", f"the request has {announced} bytes; at most {limit:,} are taken here")
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise HubError(
                413, "PayloadTooLarge", f"the request is larger than {limit:,} bytes, the most that this takes"
            )
    return bytes(body)


async def json_body(request: Request) -> dict[str, Any]:
    """The JSON object in a request."""
    try:
        body = json.loads(await read_limited(request, JSON_LIMIT))
    except ValueError as error:
        raise HubError(400, "BadRequest", f"the request is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise HubError(400, "BadRequest", "the request is not a JSON object")
    return body


def require_field(body: dict[str, Any], name: str, kind: type = str) -> Any:
    """A field that a request must have, of its type."""
    if not isinstance(body.get(name), kind):
        raise HubError(400, "BadRequest", f"'{name}' is missing, or not a {kind.__name__}")
    return body[name]
