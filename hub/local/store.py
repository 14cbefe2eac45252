"""Store: all repositories of the local Hub below one folder, created, changed and deleted atomically."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from dulwich.repo import Repo

from hub.local.disk import clear_locks, draft_path, sync_folder, write_durably
from hub.local.errors import HubError
from hub.local.files import Change, File
from hub.local.gitattributes import GITATTRIBUTES, default_attributes
from hub.local.large import LargeFiles
from hub.local.repository import Repository

TYPES = ("model", "dataset", "space")
SETTINGS = "repartee.json"
_NAME = re.compile(r"[A-Za-z0-9_][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}", re.ASCII)


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
            for repository in self.root.glob(f"{type}s/*/*.git"):
                clear_locks(repository)
        for draft in [*self.root.glob("large/*/.*"), *self.root.glob("collections/*/.*")]:
            draft.unlink()

    def folder(self, type: str, name: str) -> Path:
        """The folder of a repository, which need not exist. Raises HubError for an impossible name."""
        if not _NAME.fullmatch(name) or ".." in name or name.endswith((".git", ".lock")):
            raise HubError(400, "InvalidRepoName", f"'{name}' is not a repository name; write namespace/name")
        return self.root / f"{type}s" / f"{name}.git"

    def canonical(self, type: str, name: str) -> str:
        """The name of the repository that `name` means, without regard to case; `name` itself where there is none."""
        if self.folder(type, name).exists():
            return name
        return next((known for known in self.names(type) if known.lower() == name.lower()), name)

    def lock(self, path: Path) -> threading.Lock:
        """The one lock of a repository or file, for all threads."""
        with self._guard:
            return self._locks.setdefault(path, threading.Lock())

    def create(self, type: str, name: str, settings: dict[str, Any], author: str, files: Iterable[Change] = ()) -> bool:
        """Makes a repository with one first commit, of its attributes and files; False where it exists already."""
        folder = self.folder(type, name)
        with self.lock(folder):
            if self.folder(type, self.canonical(type, name)).exists():
                return False
            with self.draft(folder) as draft:
                draft.mkdir(parents=True)
                Repo.init_bare(str(draft), default_branch=b"main").close()
                write_durably(draft / SETTINGS, json.dumps({**settings, "created": int(time.time())}).encode())
                with closing(Repository(draft, self.large, threading.Lock(), self._sizes)) as repo:
                    repo.start([Change(GITATTRIBUTES, default_attributes(type)), *files], author)
                draft.rename(folder)  # from here on it exists, whole
            for parent in (folder.parent, folder.parent.parent, self.root):
                sync_folder(parent)
        return True

    @contextmanager
    def draft(self, folder: Path) -> Iterator[Path]:
        """A hidden name beside a repository's folder, to make it under; what is half made when that fails goes away."""
        draft = draft_path(folder)
        try:
            yield draft
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise

    def delete(self, type: str, name: str) -> None:
        """Deletes a repository, whole: a kill leaves it there or gone."""
        folder = self.existing(type, name)
        with self.lock(folder):
            gone = folder.rename(draft_path(folder))
            sync_folder(folder.parent)
        shutil.rmtree(gone)

    def existing(self, type: str, name: str) -> Path:
        """The folder of a repository. Raises HubError where there is none."""
        folder = self.folder(type, self.canonical(type, name))
        if not folder.exists():
            raise HubError(404, "RepoNotFound", "Repository not found")
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
