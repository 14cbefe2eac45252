"""What every handler asks of a request: which repository, whose token, what body."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.requests import Request

from hub.local.errors import HubError
from hub.local.repository import Repository
from hub.local.store import TYPES, Store

SLASH = "\x1f"
"""Stands for a `%2F` within one part of an address (`feature/x` as a revision), which is no border between parts."""


def store_of(request: Request) -> Store:
    return request.app.state.store


def part(request: Request, name: str, default: str = "") -> str:
    """A named part of the address, slashes restored."""
    return request.path_params.get(name, default).replace(SLASH, "/")


def flag(value: str | None) -> bool:
    return (value or "").lower() in ("true", "1")


def place(type: str, name: str) -> str:
    """Where a repository stands: models at the root, datasets and Spaces below their names."""
    return f"/{name}" if type == "model" else f"/{type}s/{name}"


def address(request: Request, type: str, name: str) -> str:
    return str(request.base_url).rstrip("/") + place(type, name)


def user_of(request: Request) -> str | None:
    """Whose token it is; None without a known one."""
    return request.app.state.tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))


def writer(request: Request) -> str:
    """The user who may write.

    Raises:
        HubError: 401 with the real Hub's words, which tell clients a missing token from a wrong one.
    """
    user = user_of(request)
    if user is None:
        wrong = "authorization" in request.headers
        said = "Invalid credentials in Authorization header" if wrong else "Invalid username or password."
        raise HubError(401, "Unauthorized", said)
    return user


def target(request: Request) -> tuple[str, str]:
    """Type and name of the repository that the address means; a private one exists only for those with a token."""
    kinds = {f"{type}s": type for type in TYPES}
    type = kinds.get(part(request, "types") or request.url.path.split("/")[1], "model")
    if part(request, "types") not in ("", *kinds):
        raise HubError(404, "NotFound", f"No such thing here: {request.url.path}")
    name = f"{part(request, 'ns')}/{part(request, 'name')}"
    if store_of(request).settings(type, name)["private"] and user_of(request) is None:
        raise HubError(401, "RepoNotFound", "Invalid username or password.")
    return type, name


@contextmanager
def opened(request: Request) -> Iterator[Repository]:
    """The repository that the address means."""
    with store_of(request).open(*target(request)) as repo:
        yield repo


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object in a request."""
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise HubError(400, "BadRequest", f"the request is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise HubError(400, "BadRequest", "the request is not a JSON object")
    return body


def field(body: dict[str, Any], name: str, kind: type = str) -> Any:
    """A field that a request must have, of its type."""
    if not isinstance(body.get(name), kind):
        raise HubError(400, "BadRequest", f"'{name}' is missing, or not a {kind.__name__}")
    return body[name]
