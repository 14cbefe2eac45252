"""Request guard (ASGI middleware): allowed paths, size limit, rate limits by token bucket, and whose a session is.

It sees every request before Gradio does. The address is the one that uvicorn found: that of the peer, or what a proxy
wrote into X-Forwarded-For where that proxy is one that the settings trust.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote

from space.session_owners import SessionOwners, cookie_of, network_of, new_cookie, with_cookie

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
STREAM = re.compile(r"/gradio_api/(queue/data|call/[^/]+/[^/]+)/?")
"""Where answers are read: within the same rates, counted apart from the questions."""
HEARTBEAT = re.compile(r"/gradio_api/heartbeat/([^/]+)/?")
JOIN = re.compile(r"/gradio_api/queue/join/?")
TOO_LARGE = "That is too long: a line has at most 500 characters."
NOT_ASKED_SO = "There is no such function of the page, or it takes other values."
NOT_YOURS = "This conversation was begun in another browser. Please reload the page."
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

    def __init__(
        self,
        app: Any,
        sessions: TokenBucket,
        addresses: TokenBucket,
        inputs: Mapping[int, int],
        mcp: bool = False,
        prefix: str = "",
    ) -> None:
        """Takes the buckets, of each function of the page how many values it takes, and the path of the page."""
        self.app, self.sessions, self.addresses, self.inputs = app, sessions, addresses, inputs
        self.mcp, self.prefix, self.owners = mcp, prefix, SessionOwners()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers a request with an error, or hands it to the page."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if self.prefix and scope["path"] == self.prefix and scope["method"] in ("GET", "HEAD"):
            return await send_on(send, f"{self.prefix}/", scope["query_string"])
        scope = without_prefix(scope, self.prefix)
        path, method = scope["path"], scope["method"]
        by_mcp = self.mcp and MCP.fullmatch(path)
        known = PATHS.fullmatch(path) or by_mcp
        if known and method in ("GET", "HEAD", "OPTIONS"):
            session = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[-1]
            if STREAM.fullmatch(path) and (seconds := self.seconds(scope, session, "reads ")):
                return await send_error(send, 429, TOO_OFTEN.format(int(seconds) + 1))
            beating = HEARTBEAT.fullmatch(path)
            return await self.hand_on(scope, receive, send, beating[1] if beating else session)
        body = await read_body(receive)
        if not known:
            return await send_error(send, 404, "There is no such page.")
        if body is None:
            return await send_error(send, 413, TOO_LARGE)
        sent = parsed(body)
        session = str(sent.get("session_hash") or "")
        if (RATE_LIMITED.fullmatch(path) or by_mcp) and (seconds := self.seconds(scope, session)):
            return await send_error(send, 429, TOO_OFTEN.format(int(seconds) + 1))
        if JOIN.fullmatch(path) and not self.is_asked_rightly(sent):
            return await send_error(send, 400, NOT_ASKED_SO)
        return await self.hand_on(scope, replay(body, receive), send, session, bool(RATE_LIMITED.fullmatch(path)))

    async def hand_on(self, scope: Any, receive: Any, send: Any, session: str, begins: bool = False) -> None:
        """Hands a request to the page, unless it names a session that is somebody else's."""
        known = cookie_of(scope)
        cookie = known or new_cookie()
        if session and not self.owners.allow(session, cookie, bool(known), network_of(scope.get("client")), begins):
            return await send_error(send, 403, NOT_YOURS)
        gives = not known and (begins or scope["path"] == "/")
        return await self.app(scope, receive, with_cookie(send, cookie, scope) if gives else send)

    def seconds(self, scope: Any, session: str, kind: str = "") -> float:
        """How long the session or the address of a request of this kind has to wait."""
        now, host = time.monotonic(), network_of(scope.get("client"))
        by_address = self.addresses.wait(f"{kind}{host}", now)
        return by_address or (self.sessions.wait(f"{kind}{host} {session[:64]}", now) if session else 0.0)

    def is_asked_rightly(self, sent: Mapping[str, Any]) -> bool:
        """Whether a request names a function of the page and has as many values as it takes.

        Gradio would write what else was sent into the log.
        """
        function, values = sent.get("fn_index"), sent.get("data")
        takes = self.inputs.get(function) if isinstance(function, int) else None
        return takes is not None and isinstance(values, list) and len(values) == takes


def without_prefix(scope: Any, prefix: str) -> Any:
    """A request's scope without the path that a proxy serves the page under, where the proxy has kept it."""
    path, raw = scope["path"], scope.get("raw_path") or scope["path"].encode()
    if not prefix or not (path == prefix or path.startswith(f"{prefix}/")):
        return scope
    return {**scope, "path": path[len(prefix) :] or "/", "raw_path": raw[len(prefix) :] or b"/"}


def parsed(body: bytes) -> dict[str, Any]:
    """The JSON object of a request; an empty one where it is none."""
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return sent if isinstance(sent, dict) else {}


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


async def send_on(send: Any, path: str, query: bytes) -> None:
    """Sends a browser on to the page's folder: its files are named relative to where the page is asked for."""
    place = quote(path).encode() + (b"?" + query if query else b"")
    await send(
        {"type": "http.response.start", "status": 307, "headers": [(b"location", place), (b"content-length", b"0")]}
    )
    await send({"type": "http.response.body", "body": b""})


async def send_error(send: Any, status: int, why: str) -> None:
    """Sends a status with one line of JSON, and closes the connection."""
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"detail": why}).encode()})
