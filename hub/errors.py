"""Error messages: one clear line for what a person can mend, a traceback for what is our bug."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from hub.proxies import proxies_of, reach_this_machine_directly, unusable


class UserError(Exception):
    """What is wrong, why, and the cure, in one line."""


NO_TOKEN = (
    "no Hub token found; set HF_TOKEN, or run `hf auth login`, or use the embedded Hub: "
    "python -m hub.local run -- COMMAND"
)
UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT)
CURES = {
    401: "the token is missing or not valid; set HF_TOKEN or run `hf auth login`",
    402: "the plan of this account does not allow it; see its message",
    403: "the token may not do this; use one with access to that namespace (to publish: write access)",
    404: "there is no such repository, revision or file; check the name, or run the stage that makes it",
    409: "it was changed by somebody else meanwhile; run again",
    412: "it was changed by somebody else meanwhile; run again",
    429: "too many requests; wait a while and run again, finished work is kept",
    507: "the Hub's disk is full; free some space there and run again, finished work is kept",
}


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends a command with status 1 and one line on stderr for anything a person can mend; 130 for Ctrl-C.

    The command asks the servers of this machine, a local Hub above all, without a proxy.
    """
    try:
        require_endpoint()
        reach_this_machine_directly()
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


def require_endpoint() -> None:
    """An address in HF_ENDPOINT, where it is set; huggingface_hub cannot be imported with anything else.

    Raises:
        UserError: it is none.
    """
    address = os.environ.get("HF_ENDPOINT", "").strip()
    try:
        parts = urlsplit(address)
        known = not address or (parts.scheme in ("http", "https") and parts.hostname and parts.port != 0)
    except ValueError:
        known = False
    if not known:
        raise UserError(f"HF_ENDPOINT is {address!r}; set it to one like https://huggingface.co, or unset it")


def explain(error: BaseException) -> str | None:
    """Returns the line for an error that a person can mend, or None for one that is a bug."""
    line = next(filter(None, map(_line, _chain(error))), None)
    return " ".join(line.split()) if line else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what stands behind it, for libraries wrap what really happened.

    What an error was raised *from* always counts. What was being handled when it arose counts for an OSError alone,
    which is how datasets says that it could not get a file: a KeyError in our own `except` is a bug all the same.
    """
    while error is not None:
        yield error
        error = error.__cause__ or (error.__context__ if isinstance(error, OSError) else None)


def _line(error: BaseException) -> str | None:
    if isinstance(error, UserError):
        return str(error)
    import httpx2
    from huggingface_hub import constants, errors

    if isinstance(error, errors.LocalTokenNotFoundError):
        return NO_TOKEN
    if isinstance(error, errors.HFValidationError):
        return f"{error}; check the name"
    if isinstance(error, errors.HfHubHTTPError):
        return _http(error, constants.ENDPOINT)
    if "HF_HUB_DISABLE_XET" in str(error):  # the local Hub's refusal, as hf_xet passes it on
        return f"{constants.ENDPOINT} takes large files by LFS, not by Xet; set HF_HUB_DISABLE_XET=1"
    # datasets raises a bare ConnectionError; the kinds of it that the system raises may be about other machines
    bare = type(error) is ConnectionError
    unreachable = bare or isinstance(error, httpx2.TransportError | errors.OfflineModeIsEnabled)
    if constants.HF_HUB_OFFLINE and (unreachable or isinstance(error, errors.LocalEntryNotFoundError)):
        return "HF_HUB_OFFLINE is set, and this takes the Hub, or a file that is not on this disk; unset it"
    if unreachable:
        through = proxies_of(constants.ENDPOINT)
        return (
            f"the Hub at {constants.ENDPOINT} does not answer ({error or type(error).__name__}); check the network"
            f"{f', and the proxy that {through[0]} names' if through else ''}, "
            "or run against the embedded Hub: python -m hub.local run -- COMMAND"
        )
    if type(error).__name__ in (
        "ChatFormatError",
        "AdapterError",
    ):  # of chat, which is not ours to import
        return str(error)
    if type(error).__name__ == "DatasetNotFoundError":  # of datasets, which is too heavy to import for a check
        return f"{error} ({constants.ENDPOINT}): check the name, or run the stage that makes it"
    if (isinstance(error, OSError) and error.errno == errno.ENOSPC) or "No space left on device" in str(error):
        return "the disk is full; free some space and start again, finished work is kept"
    return _environment(error)


def _environment(error: BaseException) -> str | None:
    """The line for a folder that cannot be written, or a proxy that cannot be used."""
    import httpx2
    from huggingface_hub import constants

    if isinstance(error, OSError) and error.filename and error.errno in UNWRITABLE:
        path, reason = Path(os.fsdecode(error.filename)), error.strerror
        for name, folder in _cache_folders():
            inside = path.is_relative_to(folder) and error.errno != errno.ENOENT
            if inside or (not folder.is_dir() and (folder.is_relative_to(path) or path.is_relative_to(folder))):
                return f"{folder} cannot be written ({path}: {reason}); set {name} to a folder that can be"
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return f"{path} cannot be read or written ({reason}); choose another place, or change its rights"
    if isinstance(error, ImportError) and "SOCKS proxy" in str(error):
        return "a SOCKS proxy is set (ALL_PROXY), for which httpx needs socksio: pip install socksio, or unset it"
    if isinstance(error, httpx2.InvalidURL) or "scheme for proxy URL" in str(error):
        if names := unusable(os.environ):  # its own message may hold a part of the password
            cure = "set it to http://HOST:PORT or socks5://HOST:PORT, a password percent-encoded, or unset it"
            return f"{names[0]} is no address of a proxy: {cure}"
        return f"{error}: an address cannot be read; HF_ENDPOINT is {constants.ENDPOINT}"
    return None


def _cache_folders() -> Iterator[tuple[str, Path]]:
    """The folders that libraries of the Hub write to, by the variable that moves each."""
    from huggingface_hub import constants

    for name in ("HF_DATASETS_CACHE", "HF_HUB_CACHE", "HF_XET_CACHE"):
        if folder := os.environ.get(name):
            yield name, Path(folder).absolute()
    yield "HF_HOME", Path(constants.HF_HOME).absolute()


def _http(error: object, endpoint: str) -> str:
    response = error.response  # type: ignore[attr-defined]
    status, address = response.status_code, response.request.url
    cure = CURES.get(status) or (
        "the Hub is in trouble; run again later, finished work is kept" if status >= 500 else "see its message"
    )
    if response.headers.get("X-Error-Code") == "GatedRepo":
        cure = f"its owners ask you to accept their terms first; open the repository's page at {endpoint}"
    message = getattr(error, "server_message", "")
    return f"{address.path} at {endpoint} answered {status}{f' ({message})' if message else ''}: {cure}"
