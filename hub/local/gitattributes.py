"""`.gitattributes`: which files git-lfs tracks in a clone. The Hub adds each large file that no pattern covers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from io import BytesIO

from dulwich.attrs import Pattern as Matcher
from dulwich.attrs import match_path, parse_git_attributes

GITATTRIBUTES = ".gitattributes"
_LFS = b" filter=lfs diff=lfs merge=lfs -text"


def track_with_lfs(attributes: bytes, paths: Iterable[str]) -> bytes:
    """The attributes, with a line more for each path that they do not give to git-lfs yet."""
    patterns = [(Matcher(pattern), values) for pattern, values in parse_git_attributes(BytesIO(attributes))]
    present = set(attributes.splitlines())
    missing = []
    for path in paths:
        line = _pattern(path) + _LFS
        if match_path(patterns, path.encode()).get(b"filter") != b"lfs" and line not in present:
            missing.append(line)
    if not missing:
        return attributes
    start = attributes if attributes.endswith(b"\n") or not attributes else attributes + b"\n"
    return start + b"".join(line + b"\n" for line in missing)


def _pattern(path: str) -> bytes:
    """A path as the pattern that means it alone (gitattributes(5)): at the root, its special characters escaped."""
    escaped = re.sub(r"([*?\[\]\\])", r"\\\1", path).replace(" ", "[[:space:]]")
    return f"/{escaped}".encode()
