"""npm packages that the page without a server holds: pinned by version and hash, downloaded at deployment, never built.

The hash is the registry's own `dist.integrity`, sha512 of the package's archive in base64. Archives are kept in the
user's cache; no code of theirs is in this repository.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hub.errors import UserError

REGISTRY = "https://registry.npmjs.org"


@dataclass(frozen=True)
class NpmPackage:
    """A package of the npm registry."""

    name: str
    version: str
    integrity: str
    files: Mapping[str, str]
    """What is taken of it: its name in the page's folder by its path in the package."""

    @property
    def short_name(self) -> str:
        """The name without its scope."""
        return self.name.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """Where its files stand in the page; another version has another folder, so that none changes."""
        return f"vendor/{self.short_name}-{self.version}"


PACKAGES = (
    NpmPackage(
        "@wllama/wllama",
        "3.13.0",
        "sha512-ZvoRdQAn+E+18EvQ9qS036gudiI9rbZRBJgG/qNICPPwrA0Y6SMMdbziz/j7K/0WxcbJlhaRraVIYsnEy732NA==",
        {"esm/index.js": "index.js", "esm/wasm/wllama.wasm": "wllama.wasm", "LICENCE": "LICENCE"},
    ),
    NpmPackage(
        "@wllama/wllama-compat",
        "3.13.0",
        "sha512-MSWwyzVXpwkstvIGzOsQ9jlRm8kY5S5J0Gdw4E6M9mXqhgO/5tj+YNfxSoqN1GvsAOwui95JPtwX3hO6VZkbzg==",
        {"wasm/wllama.js": "wllama.js", "wasm/wllama.wasm": "wllama.wasm"},
    ),
    NpmPackage(
        "hash-wasm",
        "4.12.0",
        "sha512-+/2B2rYLb48I/evdOIhP+K/DD2ca2fgBjp6O+GBEnCDk2e4rpeXIK8GvIyRPjTezgmWn9gmKwkQjjx6BtqDHVQ==",
        {"dist/sha256.umd.min.js": "sha256.umd.min.js", "LICENSE": "LICENSE"},
    ),
)
"""llama.cpp in WebAssembly; its build for browsers that cannot suspend WebAssembly (Safari); a streaming sha256."""


def vendored(package: NpmPackage, cache: Path | None = None) -> dict[str, bytes]:
    """The files of a package, by path in the page.

    Raises:
        UserError: the registry does not answer, its archive is not the pinned one, or lacks a file.
    """
    content = _archive(package, cache or _cache())
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        for path, name in package.files.items():
            try:
                member = archive.extractfile(f"package/{path}")
            except KeyError:
                member = None
            if member is None:
                raise UserError(
                    f"{package.name}@{package.version} holds no {path}; its entry in hub.deploy.vendor is old"
                )
            found[f"{package.folder}/{name}"] = member.read()
    return found


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "repartee" / "npm"


def _archive(package: NpmPackage, cache: Path) -> bytes:
    """The archive of a package, from the cache where it is there and right."""
    kept = cache / f"{package.short_name}-{package.version}.tgz"
    if kept.exists() and is_pinned(package, content := kept.read_bytes()):
        return content
    content = _download(package)
    if not is_pinned(package, content):
        raise UserError(
            f"{package.name}@{package.version} from {registry()} is not the archive that is pinned "
            f"({package.integrity[:20]}...); nothing is deployed with it"
        )
    cache.mkdir(parents=True, exist_ok=True)
    draft = kept.with_suffix(f".{os.getpid()}")
    draft.write_bytes(content)
    draft.rename(kept)
    return content


def is_pinned(package: NpmPackage, content: bytes) -> bool:
    """Whether an archive is the one whose hash is pinned."""
    return f"sha512-{base64.b64encode(hashlib.sha512(content).digest()).decode()}" == package.integrity


def registry() -> str:
    """The npm registry, as npm reads it from its environment."""
    return (os.environ.get("NPM_CONFIG_REGISTRY") or REGISTRY).rstrip("/")


def _download(package: NpmPackage) -> bytes:
    import httpx2

    url = f"{registry()}/{package.name}/-/{package.short_name}-{package.version}.tgz"
    try:
        answer = httpx2.get(url, follow_redirects=True, timeout=60)
        answer.raise_for_status()
    except httpx2.HTTPError as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"{package.name}@{package.version} cannot be had from {registry()} ({reason})") from error
    return answer.content
