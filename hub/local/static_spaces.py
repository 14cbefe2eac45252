"""Static Spaces: `sdk: static`, files of the newest commit at an origin of each Space's own.

`http://OWNER-NAME.static.localhost:PORT/` is the local Hub's port under another name: browsers take every name below
`localhost` for this machine, and for an origin of its own, so that a Space's scripts can read nothing of the Hub's.
Nothing runs here, so they are served without --run-spaces as well. `custom_headers` of the card are sent with each
file: the three that the real Hub allows, which isolate a page from others.
"""

from __future__ import annotations

import mimetypes
import re
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from hub.local.card import front_matter
from hub.local.errors import HubError
from hub.local.json_shapes import Json
from hub.local.request import SLASH
from hub.local.store import Store

DOMAIN = "static.localhost"
INDEX = "index.html"
ISOLATING = ("cross-origin-opener-policy", "cross-origin-embedder-policy", "cross-origin-resource-policy")
TYPES_BY_ENDING = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm"}
"""Where a machine's own table may say otherwise, and a browser runs no script of another type."""


def subdomain(name: str) -> str:
    """What a Space is called in addresses: `me/my_space` is `me-my-space`."""
    return re.sub(r"[\W_]+", "-", name.lower())


def static_host(url: str, name: str) -> str:
    """The address of a static Space on the local Hub at `url`."""
    port = urlsplit(url).port
    return f"http://{subdomain(name)}.{DOMAIN}" + (f":{port}" if port else "")


class ServeStaticSpaces:
    """Answers requests to a static Space's own host name, and none of the Hub's there."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, as ASGI has it."""
        request = Request(scope) if scope["type"] == "http" else None
        space, _, domain = (request.url.hostname or "").partition(".") if request else ("", "", "")
        if request is None or domain != DOMAIN:
            await self.app(scope, receive, send)
        elif request.method not in ("GET", "HEAD"):
            await PlainTextResponse("files are read here, and that is all\n", 405)(scope, receive, send)
        else:
            response = await run_in_threadpool(_file, request, scope["app"].state.store, space)
            await response(scope, receive, send)


def _file(request: Request, store: Store, space: str) -> Response:
    """A file of the newest commit, or a plain 404."""
    path = request.url.path.replace(SLASH, "/").strip("/") or INDEX
    try:
        name = _space_at(store, space)
        with store.open("space", name) as repo:
            commit, card = repo.commit_at("main"), front_matter(repo)
            file = repo.file(commit, path) or repo.file(commit, f"{path}/{INDEX}")
            if file is None:
                raise HubError(404, "EntryNotFound", f"{name} has no {path}")
            headers = isolating_headers(card) | {"ETag": f'"{file.large or file.blob}"', "Cache-Control": "no-cache"}
            if request.headers.get("if-none-match") == headers["ETag"]:
                return Response(status_code=304, headers=headers)
            if file.large:
                return FileResponse(repo.large_path(file), headers=headers, media_type=_media_type(file.path))
            return Response(repo.content(file), headers=headers, media_type=_media_type(file.path))
    except HubError as error:
        return PlainTextResponse(f"{error}\n", error.status)


def _space_at(store: Store, space: str) -> str:
    """The public static Space of a name in addresses. Raises HubError where it is none, or two have it."""
    found = [name for name in store.names("space") if subdomain(name) == space]
    if len(found) != 1 or store.settings("space", found[0])["private"]:
        raise HubError(404, "RepoNotFound", f"there is no public static Space of the name {space} here")
    if sdk_of(store, found[0]) != "static":
        raise HubError(404, "RepoNotFound", f"{found[0]} is no static Space")
    return found[0]


def sdk_of(store: Store, name: str) -> str:
    """A Space's SDK, by its card or, where that says nothing, as it was made."""
    with store.open("space", name) as repo:
        return str(front_matter(repo).get("sdk") or store.settings("space", name).get("sdk"))


def isolating_headers(card: Json) -> dict[str, str]:
    """The headers that a card asks for, of those that the real Hub allows."""
    given = card.get("custom_headers")
    asked = {str(key).lower(): str(value) for key, value in given.items()} if isinstance(given, dict) else {}
    return {name: asked[name] for name in ISOLATING if re.fullmatch(r"[a-z-]+", asked.get(name, ""))}


def _media_type(path: str) -> str:
    ending = path[path.rfind(".") :] if "." in path else ""
    kind = TYPES_BY_ENDING.get(ending) or mimetypes.guess_type(path)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
