"""Files and operations of a commit: LFS pointers, and which paths are allowed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hub.local.errors import HubError

POINTER = re.compile(rb"version https://git-lfs.github.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (\d+)\n")


@dataclass(frozen=True)
class File:
    """One file of a commit; `large` is the sha256 of content that lies beside git."""

    path: str
    blob: str
    size: int
    large: str | None = None


@dataclass(frozen=True)
class Change:
    """One operation of a commit: a content, a large file (by sha256), a copy of another path, or else a deletion."""

    path: str
    content: bytes | None = None
    large: str | None = None
    source: str | None = None
    source_revision: str | None = None
    folder: bool = False


def pointer(oid: str, size: int) -> bytes:
    """What git holds in place of a large file (git-lfs, docs/spec.md)."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n".encode()


def safe_path(path: str) -> str:
    """Returns a path inside a repository, or refuses one that would leave it or that git could not hold."""
    parts = path.split("/")
    strange = any(ord(letter) < 32 or letter == "\\" or 0xD800 <= ord(letter) < 0xE000 for letter in path)
    if strange or any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        raise HubError(422, "InvalidPath", f"'{path}' is not a path inside a repository")
    return path
