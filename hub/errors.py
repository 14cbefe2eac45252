"""One clear line for what a person can mend; a traceback for what is our bug."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """What is wrong, why, and the cure, in one line."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends a command with status 1 and one line on stderr for anything a person can mend; 130 for Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        print("stopped; start it again and it carries on", file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        line = explain(error)
        if line is None:
            raise
        print(f"error: {line}", file=sys.stderr)
        raise SystemExit(1) from error


def explain(error: BaseException) -> str | None:
    """Returns the line for an error that a person can mend, or None for one that is a bug."""
    import httpx2
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, LocalTokenNotFoundError

    seen: BaseException | None = error
    while seen is not None:  # libraries wrap what really happened
        if isinstance(seen, UserError):
            return " ".join(str(seen).split())
        if isinstance(seen, LocalTokenNotFoundError):
            return NO_TOKEN
        if isinstance(seen, HfHubHTTPError) and seen.response is not None:
            return _http(seen, constants.ENDPOINT)
        if isinstance(seen, httpx2.TransportError):
            return (
                f"the Hub at {constants.ENDPOINT} does not answer ({seen or type(seen).__name__}); check the network, "
                "or run against the embedded Hub: python -m hub.local run -- COMMAND"
            )
        if isinstance(seen, OSError) and seen.errno == errno.ENOSPC:
            return "the disk is full; free some space and start again, finished work is kept"
        seen = seen.__cause__ or seen.__context__
    if isinstance(error, LocalEntryNotFoundError):
        return f"a file is neither on this disk nor at {constants.ENDPOINT}; check the network and the name"
    return None


NO_TOKEN = (
    "no Hub token found; set HF_TOKEN, or run `hf auth login`, or use the embedded Hub: "
    "python -m hub.local run -- COMMAND"
)


def _http(error: object, endpoint: str) -> str:
    response = error.response  # type: ignore[attr-defined]
    status, address = response.status_code, response.request.url
    cure = {
        401: "the token is missing or not valid; set HF_TOKEN or run `hf auth login`",
        403: "the token may not do this; use one with write access to that namespace",
        404: "there is no such repository, revision or file; check the name, or run the stage that makes it",
        409: "it was changed by somebody else meanwhile; run again",
        412: "it was changed by somebody else meanwhile; run again",
        429: "too many requests; wait a while and run again, finished work is kept",
    }.get(
        status, "the Hub is in trouble; run again later, finished work is kept" if status >= 500 else "see its message"
    )
    said = " ".join(str(getattr(error, "server_message", "") or "").split())
    return f"{address.path} at {endpoint} answered {status}{f' ({said})' if said else ''}: {cure}"
