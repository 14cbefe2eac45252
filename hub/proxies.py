"""Proxies of the environment: never for this machine's own servers, and none that httpx cannot use."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from urllib.parse import urlsplit

LOCAL = ("127.0.0.1", "localhost")
PROXY_VARIABLES = tuple(name for upper in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY") for name in (upper, upper.lower()))


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
    """The variables that name a proxy which httpx cannot use: SOCKS without socksio, another scheme, no address."""
    return [name for name in PROXY_VARIABLES if environment.get(name) and not _is_usable(environment[name])]


def _is_usable(proxy: str) -> bool:
    import httpx2

    address = proxy if "://" in proxy else f"http://{proxy}"
    if address.lower().startswith("socks5") and not find_spec("socksio"):
        return False
    try:
        httpx2.Proxy(address)
    except (ValueError, httpx2.InvalidURL):
        return False
    return True


def reach_this_machine_directly() -> None:
    """Takes the proxies of this process's environment from this machine's servers: a local Hub, a judge, an engine.

    One that httpx cannot use would end the clients of a local Hub too; where that is the Hub, there is none, which is
    said. Other hosts keep theirs.
    """
    if not any(map(os.environ.get, PROXY_VARIABLES)):
        return
    host = urlsplit(os.environ.get("HF_ENDPOINT", "")).hostname or ""
    made = direct_environment(*([host] if _is_here(host) else []))
    if not _is_here(host):
        made = {name: made[name] for name in ("NO_PROXY", "no_proxy")}
    elif left_out := unusable(os.environ):
        print(f"{', '.join(left_out)}: httpx cannot use such a proxy, and none is used", file=sys.stderr, flush=True)
    os.environ.update(made)


def proxies_of(address: str) -> list[str]:
    """The variables that name a proxy for an address, as far as they are for its scheme and not excluded by name."""
    from urllib.request import proxy_bypass

    parts = urlsplit(address)
    if _is_here(parts.hostname or "") or proxy_bypass(parts.netloc):
        return []
    return [
        name for name in PROXY_VARIABLES if os.environ.get(name) and name.split("_")[0].lower() in (parts.scheme, "all")
    ]


def _is_here(host: str) -> bool:
    return host in (*LOCAL, "::1") or host.startswith("127.") or host.endswith(".localhost")
