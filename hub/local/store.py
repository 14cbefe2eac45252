"""Repositories on disk: bare git repositories for history, and large files beside them, named by their sha256.

A commit is first written as objects, then made visible by moving one ref under git's own lock: a kill leaves either the
old state or the new one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import threading
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dulwich.object_store import commit_tree_changes, iter_tree_contents
from dulwich.objects import Blob, Commit, Tree
from dulwich.repo import Repo

TYPES = ("model", "dataset", "space")
LARGE = 10 * 1024 * 1024  # bytes from which a file goes beside git
_NAME = re.compile(r"[\w][\w.-]{0,95}/[\w][\w.-]{0,95}")
_POINTER = re.compile(rb"version https://git-lfs.github.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (\d+)\n")
_AUTHOR = b"Repartee local Hub <hub@localhost>"
BINARY = (".parquet", ".safetensors", ".arrow", ".bin", ".gguf", ".pt", ".zip")  # beside git at any size, as there
_ATTRIBUTES = "".join(f"*{ending} filter=lfs diff=lfs merge=lfs -text\n" for ending in BINARY).encode()


class HubError(Exception):
    """An answer other than success: status, the Hub's error code, and a message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass(frozen=True)
class File:
    """One file of a commit; `large` is the sha256 of content that lies beside git."""

    path: str
    blob: str
    size: int
    large: str | None = None


@dataclass
class Change:
    """One operation of a commit: content, a large file, a copy of another path, or a deletion (all None)."""

    path: str
    content: bytes | None = None
    large: tuple[str, int] | None = None
    source: str | None = None


class Store:
    """All repositories below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "large").mkdir(parents=True, exist_ok=True)
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def lock(self, type: str, name: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(f"{type}/{name}", threading.Lock())

    def folder(self, type: str, name: str) -> Path:
        if not _NAME.fullmatch(name) or ".." in name or name.endswith(".git"):
            raise HubError(400, "InvalidRepoName", f"'{name}' is not a repository name; write namespace/name")
        return self.root / f"{type}s" / f"{name}.git"

    def create(self, type: str, name: str, settings: dict) -> bool:
        """Makes a repository with one first commit; False where it exists already."""
        folder = self.folder(type, name)
        with self.lock(type, name):
            if folder.exists():
                return False
            draft = folder.with_name(f".{folder.name}.{os.getpid()}.{time.monotonic_ns()}")
            draft.mkdir(parents=True)
            repo = Repo.init_bare(str(draft), default_branch=b"main")
            (draft / "repartee.json").write_text(json.dumps(settings))
            self._commit(repo, b"refs/heads/main", None, [Change(".gitattributes", _ATTRIBUTES)], "initial commit")
            repo.close()
            draft.rename(folder)  # from here on it exists, whole
        return True

    def delete(self, type: str, name: str) -> None:
        self.open(type, name).close()
        shutil.rmtree(self.folder(type, name))

    def open(self, type: str, name: str) -> Repo:
        folder = self.folder(type, name)
        if not folder.exists():
            raise HubError(404, "RepoNotFound", f"Repository not found: {type} {name}")
        return Repo(str(folder))

    def settings(self, type: str, name: str) -> dict:
        return json.loads((self.folder(type, name) / "repartee.json").read_text())

    def names(self, type: str) -> list[str]:
        found = self.root.glob(f"{type}s/*/*.git")
        return sorted(f"{path.parent.name}/{path.stem}" for path in found if not path.name.startswith("."))

    def commit_of(self, repo: Repo, revision: str) -> Commit:
        """Finds a branch, a tag or a full or shortened commit sha."""
        for ref in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision):
            if ref.startswith("refs/") and ref.encode() in repo.refs:
                found = repo[repo.refs[ref.encode()]]
                if isinstance(found, Commit):
                    return found
        if re.fullmatch("[0-9a-f]{40}", revision) and revision.encode() in repo.object_store:
            found = repo[revision.encode()]
            if isinstance(found, Commit):
                return found
        raise HubError(404, "RevisionNotFound", f"Invalid rev id: {revision}")

    def files(self, repo: Repo, commit: Commit) -> list[File]:
        entries = iter_tree_contents(repo.object_store, commit.tree)
        return [self._file(repo, entry.path.decode(), entry.sha) for entry in entries]

    def file(self, repo: Repo, commit: Commit, path: str) -> File | None:
        tree = repo[commit.tree]
        assert isinstance(tree, Tree)
        try:
            _, sha = tree.lookup_path(repo.object_store.__getitem__, path.encode())
        except (KeyError, NotADirectoryError):
            return None
        return self._file(repo, path, sha) if isinstance(repo[sha], Blob) else None

    def _file(self, repo: Repo, path: str, sha: bytes) -> File:
        blob = repo[sha]
        assert isinstance(blob, Blob)
        pointer = _POINTER.fullmatch(blob.data) if len(blob.data) < 200 else None
        if pointer:
            return File(path, sha.decode(), int(pointer[2]), pointer[1].decode())
        return File(path, sha.decode(), len(blob.data))

    def large_path(self, oid: str) -> Path:
        if not re.fullmatch("[0-9a-f]{64}", oid):
            raise HubError(400, "InvalidOid", f"'{oid}' is not a sha256")
        return self.root / "large" / oid[:2] / oid

    async def receive(self, oid: str, chunks: AsyncIterator[bytes]) -> None:
        """Streams a large file to disk; it exists only once it is whole and its hash is right."""
        target = self.large_path(oid)
        target.parent.mkdir(exist_ok=True)
        draft = target.with_name(f".{oid}.{os.getpid()}.{time.monotonic_ns()}")
        digest = hashlib.sha256()
        try:
            with draft.open("wb") as file:
                async for chunk in chunks:
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            if digest.hexdigest() != oid:
                raise HubError(400, "BadContent", f"content has sha256 {digest.hexdigest()}, not {oid}")
            draft.rename(target)
        finally:
            draft.unlink(missing_ok=True)

    def commit(
        self, type: str, name: str, branch: str, parent: str | None, changes: list[Change], message: str
    ) -> tuple[str, bool]:
        """Applies changes to a branch; returns its commit afterwards, and whether that is a new one."""
        with self.lock(type, name):
            repo = self.open(type, name)
            try:
                head = self.commit_of(repo, branch)
                if parent and parent != head.id.decode():
                    raise HubError(412, "PreconditionFailed", f"{branch} is at {head.id.decode()}, not at {parent}")
                ref = f"refs/heads/{branch}".encode()
                if ref not in repo.refs:
                    raise HubError(400, "NotABranch", f"{branch} is not a branch")
                new = self._commit(repo, ref, head, changes, message)
                return new.decode(), new != head.id
            finally:
                repo.close()

    def _commit(self, repo: Repo, ref: bytes, head: Commit | None, changes: Iterable[Change], message: str) -> bytes:
        tree_changes: list = []
        for change in changes:
            path = safe_path(change.path)
            blob = self._blob(repo, head, change)
            if blob is None and head is not None:
                below = [
                    file.path
                    for file in self.files(repo, head)
                    if file.path == path or file.path.startswith(path + "/")
                ]
                tree_changes += [(gone.encode(), None, None) for gone in below]
            elif blob is not None:
                repo.object_store.add_object(blob)
                tree_changes.append((path.encode(), 0o100644, blob.id))
        empty = Tree()
        if head is None:
            repo.object_store.add_object(empty)
        tree = commit_tree_changes(repo.object_store, head.tree if head else empty.id, tree_changes)
        tree_id = tree if isinstance(tree, bytes) else tree.id
        if head is not None and tree_id == head.tree:
            return head.id
        commit = Commit()
        commit.tree = tree_id
        commit.parents = [head.id] if head else []
        commit.author = commit.committer = _AUTHOR
        commit.author_time = commit.commit_time = int(time.time())
        commit.author_timezone = commit.commit_timezone = 0
        commit.encoding = b"UTF-8"
        commit.message = message.encode()
        repo.object_store.add_object(commit)
        if not repo.refs.set_if_equals(ref, head.id if head else None, commit.id):
            raise HubError(412, "PreconditionFailed", "the branch moved meanwhile")
        return commit.id

    def _blob(self, repo: Repo, head: Commit | None, change: Change) -> Blob | None:
        if change.content is not None:
            return Blob.from_string(change.content)
        if change.large is not None:
            oid, size = change.large
            path = self.large_path(oid)
            if not path.exists() or path.stat().st_size != size:
                raise HubError(400, "LfsMissing", f"{change.path}: its content {oid} was not uploaded")
            return Blob.from_string(
                f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n".encode()
            )
        if change.source is not None and head is not None:
            found = self.file(repo, head, safe_path(change.source))
            if found is None:
                raise HubError(404, "EntryNotFound", f"{change.source} does not exist")
            blob = repo[found.blob.encode()]
            assert isinstance(blob, Blob)
            return blob
        return None


def safe_path(path: str) -> str:
    """Returns a path inside a repository, or refuses one that would leave it."""
    parts = PurePosixPath(path).parts
    bad = not parts or path.startswith("/") or "\\" in path or "\0" in path
    if bad or any(part in ("..", ".", ".git") for part in parts):
        raise HubError(400, "InvalidPath", f"'{path}' is not a path inside a repository")
    return "/".join(parts)
