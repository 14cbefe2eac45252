"""Git objects of one bare repository: blobs, trees and commits, read by hash and written durably.

An object is on disk before anything points at it: `sync` puts the folders of all that was added on disk, and only then
may a ref move.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from dulwich.errors import NotTreeError
from dulwich.object_store import iter_tree_contents
from dulwich.objects import Blob, Commit, ObjectID, ShaFile, Tree
from dulwich.repo import Repo

from hub.local.disk import sync_folder
from hub.local.errors import HubError
from hub.local.files import POINTER, File
from hub.local.large import LargeFiles

FILE_MODE, FOLDER_MODE = 0o100644, 0o040000  # git's modes

Blobs = dict[bytes, ObjectID]
"""The files of a commit: blob by path."""


class GitObjects:
    """The object store of an open repository, for one thread.

    Args:
        folder: of the bare repository.
        large: where files lie that git holds a pointer to.
        sizes: what is known of each blob, shared by all who have a repository open: what is under a hash never changes.
    """

    def __init__(self, folder: Path, large: LargeFiles, sizes: dict[bytes, File]) -> None:
        self.folder, self._large, self._sizes = folder, large, sizes
        self.git = Repo(str(folder))
        self.git.object_store.fsync_object_files = True
        self._touched: set[Path] = set()

    # ---- reading

    def commit(self, sha: ObjectID) -> Commit:
        """The commit with a hash."""
        found = self.git[sha]
        assert isinstance(found, Commit)
        return found

    def blobs(self, tree: ObjectID) -> Blobs:
        """Every file below a tree, by path."""
        entries = iter_tree_contents(self.git.object_store, tree)
        return {entry.path: entry.sha for entry in entries if entry.path and entry.sha}

    def hashes(self, tree: ObjectID) -> dict[str, ObjectID]:
        """Every file and folder below a tree, by path."""
        entries = iter_tree_contents(self.git.object_store, tree, include_trees=True)
        return {entry.path.decode(): entry.sha for entry in entries if entry.path and entry.sha}

    def folders(self, tree: ObjectID) -> dict[str, str]:
        """Every folder below a tree, by path."""
        entries = iter_tree_contents(self.git.object_store, tree, include_trees=True)
        folders = ((entry.path, entry.sha) for entry in entries if entry.mode == FOLDER_MODE)
        return {path.decode(): sha.decode() for path, sha in folders if path and sha}

    def lookup(self, tree: ObjectID, path: str) -> File | None:
        """The file at a path below a tree, or None."""
        root = self.git[tree]
        assert isinstance(root, Tree)
        try:
            mode, sha = root.lookup_path(self.git.object_store.__getitem__, path.encode())
        except (KeyError, NotTreeError):
            return None
        return self.file(path, sha) if mode != FOLDER_MODE else None

    def file(self, path: str, sha: ObjectID) -> File:
        """A blob as the file at a path: of a pointer, the size and hash of the large file that it stands for."""
        known = self._sizes.get(sha)
        if known is None:
            data = self.data(sha)
            found = POINTER.fullmatch(data)
            large = (int(found[2]), found[1].decode()) if found else (len(data), None)
            known = self._sizes[sha] = File(path, sha.decode(), *large)
        return File(path, known.blob, known.size, known.large)

    def data(self, sha: ObjectID) -> bytes:
        """The content of a blob."""
        blob = self.git[sha]
        assert isinstance(blob, Blob)
        return blob.data

    # ---- writing

    def add_content(self, content: bytes, path: str) -> ObjectID:
        """Adds a blob. Raises HubError for a pointer to a large file that is not here; `path` names it there."""
        found = POINTER.fullmatch(content)
        if found and self._large.size(found[1].decode()) != int(found[2]):
            raise HubError(400, "LfsMissing", f"{path}: its content {found[1].decode()} was not uploaded")
        return self.add(Blob.from_string(content))

    def add_tree(self, files: Blobs) -> ObjectID:
        """Adds the tree of these files, and the trees below it. Raises HubError where a file would be a folder too."""
        tree, below = Tree(), dict[bytes, Blobs]()
        for path, sha in files.items():
            name, _, rest = path.partition(b"/")
            if rest:
                below.setdefault(name, {})[rest] = sha
            else:
                tree.add(name, FILE_MODE, sha)
        for name, inner in below.items():
            if name in tree:
                raise HubError(400, "InvalidPath", f"'{name.decode()}' would be both a file and a folder")
            tree.add(name, FOLDER_MODE, self.add_tree(inner))
        return self.add(tree)

    def add_commit(self, tree: ObjectID, parents: list[ObjectID], message: str, author: str) -> ObjectID:
        """Adds a commit, of now."""
        commit = Commit()
        commit.tree, commit.parents = tree, parents
        commit.author = commit.committer = f"{author} <{author}@localhost>".encode()
        commit.author_time = commit.commit_time = int(time.time())
        commit.author_timezone = commit.commit_timezone = 0
        commit.encoding = b"UTF-8"
        commit.message = message.encode()
        return self.add(commit)

    def add(self, thing: ShaFile) -> ObjectID:
        """Adds an object, unless it is there; returns its hash."""
        if thing.id not in self.git.object_store:
            self.git.object_store.add_object(thing)
            objects = self.folder / "objects"
            self._touched |= {objects / thing.id[:2].decode(), objects}
        return thing.id

    def sync(self) -> None:
        """Puts on disk the names of all that was added."""
        for folder in self._touched:
            sync_folder(folder)

    def history(self, commit: Commit) -> Iterator[Commit]:
        """A commit and its ancestors, newest first (local history is one line)."""
        yield commit
        while commit.parents:
            commit = self.commit(commit.parents[0])
            yield commit
