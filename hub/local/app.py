"""ASGI application of the local Hub: its lifespan, middleware and error responses."""

from __future__ import annotations

import secrets
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.local import pages, space_state
from hub.local.disk import is_full
from hub.local.errors import HubError
from hub.local.request import SLASH
from hub.local.routes import ROUTES
from hub.local.runner import Runner
from hub.local.static_spaces import ServeStaticSpaces
from hub.local.store import Store
from hub.local.tokens import Tokens, signing_key

MAX_HEADER_BYTES = 64 * 1024  # bytes of a request's address and headers


def build_app(store: Store, tokens: Tokens, runner: Runner | None = None, url: str = "") -> Starlette:
    """The application over a store; `tokens` says what each token allows.

    With a runner, the Spaces run while the application does; `url` is what they know it by.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if runner:
            for name in store.names("space"):
                await run_in_threadpool(space_state.start_space, store, runner, url, name)
        yield
        if runner:
            await run_in_threadpool(runner.close)

    app = Starlette(
        routes=ROUTES,
        middleware=[Middleware(KeepSlashes), Middleware(AnswerFailures), Middleware(ServeStaticSpaces)],
        exception_handlers={HubError: _hub_error, HTTPException: _not_found},
        lifespan=lifespan,
    )
    app.state.store, app.state.tokens, app.state.secret = store, tokens, signing_key(store.root)
    app.state.runner = runner
    return app


class KeepSlashes:
    """Reads the address part by part, so that a `%2F` inside a part (`feature%2Fx`) does not split it.

    And dates every answer: uvicorn's own date may be more than a second old, and a client of logs stops at it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, as ASGI has it."""
        if scope["type"] == "http":
            address = len(scope["raw_path"]) + len(scope["query_string"])
            if address + sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
                message = f"the headers of a request have at most {MAX_HEADER_BYTES:,} bytes here"
                await JSONResponse({"error": message}, 431, _error_headers("HeadersTooLarge", message))(
                    scope, receive, send
                )
                return
            parts = scope["raw_path"].decode("latin-1").split("/")
            scope = {**scope, "path": "/".join(unquote(part).replace("/", SLASH) for part in parts)}

        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], (b"date", formatdate(usegmt=True).encode())]
                if not any(name.lower() == b"x-request-id" for name, _ in headers):
                    headers.append((b"x-request-id", secrets.token_hex(16).encode()))
                message["headers"] = headers
            await send(message)

        await self.app(scope, receive, dated)


class AnswerFailures:
    """Answers a full disk, and a bug of ours, in the Hub's form. Starlette's own way breaks the connection after it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, as ASGI has it. Raises what arises once an answer has begun."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:
            if begun or scope["type"] != "http":
                raise
            await _failure(scope, error)(scope, receive, send)


def _failure(scope: Scope, error: Exception) -> Response:
    if is_full(error):
        message = (
            f"the disk of the local Hub is full ({scope['app'].state.store.root}); free some space and send it again"
        )
        print(message, file=sys.stderr, flush=True)
        return JSONResponse({"error": message}, 507, _error_headers("DiskFull", message))
    headers = _error_headers("InternalError", "the local Hub has failed; its traceback is on its stderr")
    print(f"request {headers['X-Request-Id']}: {scope['method']} {scope['path']}", file=sys.stderr)
    traceback.print_exception(error)
    return JSONResponse({"error": headers["X-Error-Message"]}, 500, headers)


def _hub_error(request: Request, error: Exception) -> Response:
    """An error in the real Hub's form; a handler may leave more for it in `request.state`."""
    assert isinstance(error, HubError)
    body: dict[str, Any] = getattr(request.state, "body", {})
    if "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/"):
        headers = getattr(request.state, "headers", {}) | _error_headers(error.code, str(error))
        return pages.error(error.status, str(error), headers)
    headers = _error_headers(error.code, str(error)) | getattr(request.state, "headers", {})
    return JSONResponse({"error": str(error), **body}, error.status, headers)


def _not_found(request: Request, error: Exception) -> Response:
    """An address or method that the local Hub does not have."""
    assert isinstance(error, HTTPException)
    message = f"{error.detail}: the local Hub does not know {request.method} {request.url.path}"
    return JSONResponse({"error": message}, error.status_code, _error_headers("NotFound", message))


def _error_headers(code: str, message: str) -> dict[str, str]:
    """Headers that clients read; a header holds printable ASCII."""
    line = "".join(letter if " " <= letter <= "~" else "?" for letter in message)
    return {"X-Error-Code": code, "X-Error-Message": line, "X-Request-Id": secrets.token_hex(16)}
