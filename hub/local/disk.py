"""Durable writes: fsync and atomic rename, so that a kill leaves a file whole or absent; a lock on the data folder."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hub.errors import UserError


def write_durably(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Puts a file in place with its content on disk: a reader, or a restart, finds the old one or the new one."""
    draft = draft_path(path)
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def is_full(error: BaseException) -> bool:
    """Whether an error says that a disk, or a quota on it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def clear_locks(repository: Path) -> None:
    """Removes the lock files that git leaves behind where a write fails; for whoever alone writes to a repository."""
    for lock in repository.rglob("*.lock"):
        with suppress(OSError):
            lock.unlink()


@contextmanager
def one_at_a_time(data: Path) -> Iterator[None]:
    """Holds a data folder for a short change of one of its files, by any process; others wait."""
    folder = os.open(data, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def draft_path(path: Path) -> Path:
    """A new hidden name beside `path`, to write to before the final rename."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}")


def sync_folder(folder: Path) -> None:
    """Puts the names in a folder on disk: a rename survives a power cut only after this."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def exclusive(data: Path, seconds: float = 5) -> Iterator[None]:
    """Holds a data folder for this process; the system lets go of it however the process ends.

    Waits a little for a server that is just stopping.

    Raises:
        UserError: another local Hub serves it.
    """
    data.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + seconds
    with (data / "lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    cure = "stop that one, or choose another folder with --data"
                    raise UserError(f"another local Hub already serves {data}; {cure}") from None
                time.sleep(0.05)
        yield
