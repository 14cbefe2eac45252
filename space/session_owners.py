"""Owners of sessions: a session belongs to the browser that began it, known by a cookie, or to its address without one.

Gradio knows a session by a number that the browser drew, and gives its answers, its history and its end to whoever
names it. The cookie is random, holds nothing, and is gone when the browser is closed.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from ipaddress import IPv6Address, ip_address
from typing import Any

COOKIE = "repartee"
MAX_SESSIONS = 20_000  # sessions whose owners are remembered


@dataclass
class Owner:
    """Who began a session."""

    cookie: str
    network: str
    keeps_cookies: bool
    """Whether a cookie has come back; until then its network is enough, for programs that keep none."""


class SessionOwners:
    """Remembers who began which session; those that were used last, where there are too many."""

    def __init__(self, most: int = MAX_SESSIONS) -> None:
        self._most, self._owners, self._lock = most, OrderedDict[str, Owner](), threading.Lock()

    def allow(self, session: str, cookie: str, came_back: bool, network: str, begins: bool) -> bool:
        """Whether a request may name a session.

        Args:
            session: that the request names.
            cookie: that came with the request, or that its answer will bring.
            came_back: whether it came with the request.
            network: of the address that asks.
            begins: whether an unknown session begins with this request.
        """
        with self._lock:
            owner = self._owners.get(session)
            if owner is None:
                if begins:
                    self._owners[session] = Owner(cookie, network, came_back)
                    if len(self._owners) > self._most:
                        self._owners.popitem(last=False)
                return True
            self._owners.move_to_end(session)
            if owner.keeps_cookies or cookie == owner.cookie:
                owner.keeps_cookies = True
                return cookie == owner.cookie
            if network == owner.network and came_back:  # of several that were given at once, the browser keeps one
                owner.cookie, owner.keeps_cookies = cookie, True
            return network == owner.network


def network_of(client: Any) -> str:
    """The network that an address stands for: itself, or the /64 of an IPv6 address, which one household has."""
    host = client[0] if client else "unknown"
    try:
        address = ip_address(host)
    except ValueError:
        return str(host)
    if not isinstance(address, IPv6Address):
        return str(host)
    return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))


def new_cookie() -> str:
    """A random value, 128 bits in hexadecimal."""
    return secrets.token_hex(16)


def cookie_of(scope: Any) -> str:
    """Our cookie of a request; "" where it has none."""
    jar = SimpleCookie()
    for name, value in scope.get("headers", ()):
        if name == b"cookie":
            try:
                jar.load(value.decode("latin-1"))
            except CookieError:
                continue
    found = jar[COOKIE].value if COOKIE in jar else ""
    return found if re.fullmatch(r"[0-9a-f]{32}", found) else ""


def with_cookie(send: Any, cookie: str, scope: Any) -> Any:
    """A `send` that gives the browser its cookie; in another site's frame, as on Spaces, only https can."""
    place = "; SameSite=None; Secure; Partitioned" if scope.get("scheme") == "https" else "; SameSite=Lax"
    header = (b"set-cookie", f"{COOKIE}={cookie}; Path=/; HttpOnly{place}".encode())

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), header]}
        await send(message)

    return sending
