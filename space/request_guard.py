"""Request guard (ASGI middleware): allowed paths, size limit, and rate limits by token bucket.

It sees every request before Gradio does. The address is the one that uvicorn found: that of the peer, or what a proxy
wrote into X-Forwarded-For where that proxy is one that the settings trust.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import OrderedDict
from typing import Any

MAX_BODY_BYTES = 64 * 1024  # of one request; a line has at most a few kilobytes
MAX_DRAINED_BYTES = 4 * 1024 * 1024  # bytes; of a larger request the connection is closed
MAX_KEYS = 20_000  # sessions and addresses remembered
PATHS = re.compile(
    r"/|/(config|theme\.css|favicon\.ico|manifest\.json|robots\.txt|openapi\.json)"
    r"|/(assets|static|pwa_icon)(/.*)?"
    r"|/gradio_api/(info|app_id|startup-events|cancel|reset|queue/(join|data|status)|(api|run|call|call/v2)/.+)"
    r"|/gradio_api/(heartbeat|login_check)(/.*)?"
)
"""What a page of text needs of Gradio. Its files, uploads, proxy, monitoring and editing are not among it."""
MCP = re.compile(r"/gradio_api/mcp(/(http|messages|schema))?/?")
"""What an MCP client needs, where the settings want it."""
RATE_LIMITED = re.compile(r"/gradio_api/(queue/join|(api|run|call)/[^/]+|call/v2/[^/]+)/?")
TOO_LARGE = "That is too long: a line has at most 500 characters."
TOO_OFTEN = "That was a lot of requests in a short time. Please wait {} seconds and ask again."


class TokenBucket:
    """Token bucket rate limiter: at most `a_minute` requests a minute for each key, in a burst or spread."""

    def __init__(self, a_minute: float, most: int = MAX_KEYS) -> None:
        self.a_minute, self._most = a_minute, most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # key to what is left, and when
        self._lock = threading.Lock()

    def wait(self, key: str, now: float) -> float:
        """Counts a request at `now`, in seconds; 0 where it may pass, else the seconds until it may."""
        with self._lock:
            left, then = self._left.pop(key, (self.a_minute, now))
            left = min(self.a_minute, left + (now - then) * self.a_minute / 60)
            allowed = left >= 1
            self._left[key] = (left - 1 if allowed else left, now)
            if len(self._left) > self._most:
                self._left.popitem(last=False)
            return 0.0 if allowed else (1 - left) * 60 / self.a_minute


class RequestGuard:
    """ASGI middleware. Raises nothing: what it refuses gets a status and one clear line, which the page shows."""

    def __init__(self, app: Any, sessions: TokenBucket, addresses: TokenBucket, mcp: bool = False) -> None:
        self.app, self.sessions, self.addresses, self.mcp = app, sessions, addresses, mcp

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers a request with an error, or hands it to the page."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        path, method = scope["path"], scope["method"]
        by_mcp = self.mcp and MCP.fullmatch(path)
        known = PATHS.fullmatch(path) or by_mcp
        if known and method in ("GET", "HEAD", "OPTIONS"):
            return await self.app(scope, receive, send)
        body = await read_body(receive)
        if not known:
            return await send_error(send, 404, "There is no such page.")
        if body is None:
            return await send_error(send, 413, TOO_LARGE)
        if (RATE_LIMITED.fullmatch(path) or by_mcp) and (seconds := self.seconds(scope, body)):
            return await send_error(send, 429, TOO_OFTEN.format(int(seconds) + 1))
        return await self.app(scope, replay(body, receive), send)

    def seconds(self, scope: Any, body: bytes) -> float:
        """How long the session or the address of a request has to wait."""
        now, host = time.monotonic(), (scope.get("client") or ("unknown",))[0]
        session = session_of(body)
        return self.addresses.wait(host, now) or (self.sessions.wait(f"{host} {session}", now) if session else 0.0)


def session_of(body: bytes) -> str | None:
    """The session that a request's JSON names; None where it names none."""
    try:
        return str(json.loads(body)["session_hash"])[:64]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


async def read_body(receive: Any) -> bytes | None:
    """The body of a request; None where it is too large.

    What is too much is read on and thrown away, up to MAX_DRAINED_BYTES: who is cut off while sending does not hear
    why.
    """
    body, size, more = b"", 0, True
    while more and size <= MAX_DRAINED_BYTES:
        message = await receive()
        part, more = message.get("body", b""), message.get("more_body", False)
        size += len(part)
        body = body + part if size <= MAX_BODY_BYTES else b""
    return body if size <= MAX_BODY_BYTES else None


def replay(body: bytes, receive: Any) -> Any:
    """A `receive` that gives the body again, and then what really comes."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Any:
        return waiting.pop() if waiting else await receive()

    return again


async def send_error(send: Any, status: int, why: str) -> None:
    """Sends a status with one line of JSON, and closes the connection."""
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"detail": why}).encode()})
