"""`.gitattributes`: which files git-lfs tracks. The Hub adds each large file that no pattern covers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from typing import Any

from dulwich.attrs import Pattern as Matcher
from dulwich.attrs import match_path, parse_git_attributes

GITATTRIBUTES = ".gitattributes"
_LFS = b" filter=lfs diff=lfs merge=lfs -text"

_WEIGHTS = (
    "*.7z *.arrow *.bin *.bz2 *.ckpt *.ftz *.gz *.h5 *.joblib *.lfs.* *.mlmodel *.model *.msgpack *.npy *.npz *.onnx "
    "*.ot *.parquet *.pb *.pickle *.pkl *.pt *.pth *.rar *.safetensors saved_model/**/* *.tar.* *.tar *.tflite *.tgz "
    "*.wasm *.xz *.zip *.zst *tfevents*"
)
_MEDIA = (
    "*.lz4 *.mds *.pcm *.sam *.raw *.aac *.flac *.mp3 *.ogg *.wav *.bmp *.gif *.png *.tiff *.jpg *.jpeg *.webp *.mp4 "
    "*.webm"
)


def default_attributes(type: str) -> bytes:
    """The file of a new repository, with the real Hub's patterns; a dataset's has those of media too."""
    patterns = f"{_WEIGHTS} {_MEDIA}" if type == "dataset" else _WEIGHTS
    return b"".join(pattern.encode() + _LFS + b"\n" for pattern in patterns.split())


def lfs_rules(attributes: bytes) -> Callable[[str], bool]:
    """Whether a path is given to git-lfs by a file of attributes."""
    patterns = _patterns(attributes)
    return lambda path: match_path(patterns, path.encode()).get(b"filter") == b"lfs"


def _patterns(attributes: bytes) -> list[tuple[Matcher, Mapping[bytes, Any]]]:
    return [(Matcher(pattern), values) for pattern, values in parse_git_attributes(BytesIO(attributes))]


def track_with_lfs(attributes: bytes, paths: Iterable[str]) -> bytes:
    """The attributes, with a line more for each path that they do not give to git-lfs yet."""
    patterns = _patterns(attributes)
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
