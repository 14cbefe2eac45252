"""Proxies of the environment: never for this machine's own servers, and none that httpx cannot use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec

LOCAL = ("127.0.0.1", "localhost")
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def direct_environment(*hosts: str, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables by which clients reach these hosts, and this machine, without a proxy; for other hosts theirs stay.

    A proxy that httpx cannot use ends every client of it, whichever host it asks, and so is emptied.

    Args:
        hosts: names or addresses.
        environment: that is read (default: this process's).
    """
    given = os.environ if environment is None else environment
    excluded = ",".join(filter(None, (given.get("NO_PROXY"), given.get("no_proxy")))).replace(" ", "").split(",")
    direct = ",".join(dict.fromkeys(filter(None, [*excluded, *LOCAL, *hosts])))
    return {"NO_PROXY": direct, "no_proxy": direct, **dict.fromkeys(unusable(given), "")}


def unusable(environment: Mapping[str, str]) -> list[str]:
    """The variables that name a proxy which httpx cannot use: SOCKS without socksio, or an unknown scheme."""
    schemes = ("http", "https", *(("socks5", "socks5h") if find_spec("socksio") else ()))
    names = [name for upper in VARIABLES for name in (upper, upper.lower())]
    return [
        name
        for name in names
        if "://" in environment.get(name, "") and environment[name].split("://")[0].lower() not in schemes
    ]
