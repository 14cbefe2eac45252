"""Store: all repositories of the local Hub below one folder, created, changed and deleted atomically."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from dulwich.repo import Repo

from hub.local.disk import draft_path, sync_folder, write_durably
from hub.local.errors import HubError
from hub.local.files import Change, File
from hub.local.large import LFS_SUFFIXES, LargeFiles
from hub.local.repository import Repository

TYPES = ("model", "dataset", "space")
SETTINGS = "repartee.json"
_NAME = re.compile(r"[A-Za-z0-9_][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}", re.ASCII)
_ATTRIBUTES = "".join(f"*{ending} filter=lfs diff=lfs merge=lfs -text\n" for ending in LFS_SUFFIXES).encode()


class Store:
    """The repositories of one data folder, which this process alone serves (see `disk.claimed`)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.large = LargeFiles(root / "large")
        self._locks: dict[Path, threading.Lock] = {}
        self._guard = threading.Lock()
        self._sizes: dict[bytes, File] = {}
        self._tidy()

    def _tidy(self) -> None:
        """Clears what a killed server left half done: drafts, and the locks that would refuse the next writer."""
        for type in TYPES:
            for folder in self.root.glob(f"{type}s/*/.*"):
                shutil.rmtree(folder)
            for lock in self.root.glob(f"{type}s/*/*.git/**/*.lock"):
                lock.unlink()
        for draft in [*self.root.glob("large/*/.*"), *self.root.glob("collections/*/.*")]:
            draft.unlink()

    def folder(self, type: str, name: str) -> Path:
        """The folder of a repository, which need not exist. Raises HubError for an impossible name."""
        if not _NAME.fullmatch(name) or ".." in name or name.endswith((".git", ".lock")):
            raise HubError(400, "InvalidRepoName", f"'{name}' is not a repository name; write namespace/name")
        return self.root / f"{type}s" / f"{name}.git"

    def lock(self, path: Path) -> threading.Lock:
        """The one lock of a repository or file, for all threads."""
        with self._guard:
            return self._locks.setdefault(path, threading.Lock())

    def create(self, type: str, name: str, settings: dict[str, Any], author: str) -> bool:
        """Makes a repository with one first commit; False where it exists already."""
        folder = self.folder(type, name)
        with self.lock(folder):
            if folder.exists():
                return False
            draft = draft_path(folder)
            draft.mkdir(parents=True)
            Repo.init_bare(str(draft), default_branch=b"main").close()
            write_durably(draft / SETTINGS, json.dumps({**settings, "created": int(time.time())}).encode())
            with closing(Repository(draft, self.large, threading.Lock(), self._sizes)) as repo:
                repo.start([Change(".gitattributes", _ATTRIBUTES)], author)
            draft.rename(folder)  # from here on it exists, whole
            for parent in (folder.parent, folder.parent.parent, self.root):
                sync_folder(parent)
        return True

    def delete(self, type: str, name: str) -> None:
        """Deletes a repository, whole: a kill leaves it there or gone."""
        folder = self.existing(type, name)
        with self.lock(folder):
            gone = folder.rename(draft_path(folder))
            sync_folder(folder.parent)
        shutil.rmtree(gone)

    def existing(self, type: str, name: str) -> Path:
        """The folder of a repository. Raises HubError where there is none."""
        folder = self.folder(type, name)
        if not folder.exists():
            raise HubError(404, "RepoNotFound", f"Repository not found: {type} {name}")
        return folder

    @contextmanager
    def open(self, type: str, name: str) -> Iterator[Repository]:
        """Opens a repository.

        Raises:
            HubError: it does not exist.
        """
        folder = self.existing(type, name)
        with closing(Repository(folder, self.large, self.lock(folder), self._sizes)) as repo:
            yield repo

    def settings(self, type: str, name: str) -> dict[str, Any]:
        """Whether it is private, when it was made, a Space's SDK."""
        return json.loads((self.existing(type, name) / SETTINGS).read_text())

    def change_settings(self, type: str, name: str, changes: dict[str, Any]) -> None:
        """Changes some of a repository's settings, durably."""
        folder = self.existing(type, name)
        with self.lock(folder):
            settings = self.settings(type, name) | changes
            write_durably(folder / SETTINGS, json.dumps(settings).encode())

    def names(self, type: str) -> list[str]:
        """The names of all repositories of a type, private ones too, sorted."""
        found = self.root.glob(f"{type}s/*/*.git")
        return sorted(f"{path.parent.name}/{path.stem}" for path in found if not path.name.startswith("."))
