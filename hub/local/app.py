"""The HTTP application of the local Hub: which address goes to which handler, and how errors are told."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from hub.local import collecting, pages, reading, writing
from hub.local.errors import HubError
from hub.local.request import SLASH
from hub.local.store import Store


def build(store: Store, tokens: dict[str, str]) -> Starlette:
    """The application over a store; `tokens` maps what a writer may carry to the writer's name."""
    app = Starlette(
        routes=_routes(),
        middleware=[Middleware(KeepSlashes)],
        exception_handlers={HubError: _refused, HTTPException: _unknown},
    )
    app.state.store, app.state.tokens, app.state.secret = store, tokens, secrets.token_bytes(32)
    return app


def _routes() -> list[Route]:
    repo = "/api/{types}/{ns}/{name}"
    routes = [
        Route("/", pages.start),
        Route("/api/whoami-v2", reading.whoami),
        Route("/api/validate-yaml", writing.validate_yaml, methods=["POST"]),
        Route("/api/repos/create", writing.create, methods=["POST"]),
        Route("/api/repos/delete", writing.delete, methods=["DELETE"]),
        Route("/api/collections", collecting.create, methods=["POST"]),
        Route("/api/collections/{ns}/{slug}", collecting.get),
        Route("/api/collections/{ns}/{slug}/items", collecting.add_item, methods=["POST"]),
        Route("/large/verify", writing.verify_large, methods=["POST"]),
        Route("/large/{oid}", writing.put_large, methods=["PUT"]),
        Route("/api/{types}", reading.listing),
        Route(repo, reading.info),
        Route(repo + "/revision/{rev}", reading.info),
        Route(repo + "/tree/{rev}", reading.tree),
        Route(repo + "/tree/{rev}/{path:path}", reading.tree),
        Route(repo + "/paths-info/{rev}", reading.paths_info, methods=["POST"]),
        Route(repo + "/commits/{rev}", reading.commits),
        Route(repo + "/refs", reading.refs),
        Route(repo + "/settings", writing.settings, methods=["PUT"]),
        Route(repo + "/preupload/{rev}", writing.preupload, methods=["POST"]),
        Route(repo + "/commit/{rev}", writing.commit, methods=["POST"]),
        Route(repo + "/branch/{rev}", writing.add_branch, methods=["POST"]),
        Route(repo + "/branch/{rev}", writing.remove_branch, methods=["DELETE"]),
        Route(repo + "/tag/{rev}", writing.add_tag, methods=["POST"]),
        Route(repo + "/tag/{rev}", writing.remove_tag, methods=["DELETE"]),
    ]
    for prefix in ("/datasets", "/spaces", ""):
        routes += [
            Route(prefix + "/{ns}/{name}.git/info/lfs/objects/batch", writing.lfs_batch, methods=["POST"]),
            Route(prefix + "/{ns}/{name}/resolve/{rev}/{path:path}", reading.resolve),
            Route(prefix + "/{ns}/{name}", pages.repository),
        ]
    nameless = ("/api/{types}/{name}", "/api/{types}/{name}/revision/{rev}", "/{name}/resolve/{rev}/{path:path}")
    return routes + [Route(path, _nameless) for path in nameless]


class KeepSlashes:
    """Reads the address part by part, so that a `%2F` inside a part (`feature%2Fx`) does not split it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            parts = scope["raw_path"].decode("latin-1").split("/")
            scope = {**scope, "path": "/".join(unquote(part).replace("/", SLASH) for part in parts)}
        await self.app(scope, receive, send)


def _nameless(request: Request) -> Response:
    """Ids without a namespace (`gpt2`) are of the real Hub alone."""
    raise HubError(404, "RepoNotFound", f"Repository not found: {request.path_params['name']}")


def _refused(request: Request, error: Exception) -> Response:
    """An error in the real Hub's form; a handler may leave more for it in `request.state`."""
    assert isinstance(error, HubError)
    body: dict[str, Any] = getattr(request.state, "body", {})
    told = _told(error.code, str(error)) | getattr(request.state, "headers", {})
    return JSONResponse({"error": str(error), **body}, error.status, told)


def _unknown(request: Request, error: Exception) -> Response:
    """An address or method that the local Hub does not have."""
    assert isinstance(error, HTTPException)
    said = f"{error.detail}: the local Hub does not know {request.method} {request.url.path}"
    return JSONResponse({"error": said}, error.status_code, _told("NotFound", said))


def _told(code: str, message: str) -> dict[str, str]:
    """Headers that clients read; a header holds printable ASCII."""
    line = "".join(letter if " " <= letter <= "~" else "?" for letter in message)
    return {"X-Error-Code": code, "X-Error-Message": line, "X-Request-Id": secrets.token_hex(16)}
