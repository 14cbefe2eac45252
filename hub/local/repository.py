"""One repository: a bare git repository whose large files lie beside it.

A commit is written as objects and synced, then made visible by moving one ref under git's own lock: a kill leaves the
old state or the new one.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from dulwich.errors import NotTreeError
from dulwich.object_store import iter_tree_contents
from dulwich.objects import Blob, Commit, ObjectID, ShaFile, Tree
from dulwich.refs import Ref, check_ref_format
from dulwich.repo import Repo

from hub.local import gitattributes
from hub.local.disk import sync_folder
from hub.local.errors import HubError
from hub.local.files import POINTER, Change, File, pointer, safe_path
from hub.local.large import LargeFiles

FILE, FOLDER = 0o100644, 0o040000  # git's modes


class Repository:
    """An open repository, for one thread; close it after use. `lock` is the one for all who have it open."""

    def __init__(self, folder: Path, large: LargeFiles, lock: threading.Lock, sizes: dict[bytes, File]) -> None:
        self.folder, self._large, self._lock, self._sizes = folder, large, lock, sizes
        self.git = Repo(str(folder))
        self.git.object_store.fsync_object_files = True
        self._touched: set[Path] = set()

    def close(self) -> None:
        self.git.close()

    # ---- reading

    def commit_at(self, revision: str) -> Commit:
        """Finds a branch, a tag, a whole ref or a full commit sha.

        Raises:
            HubError: there is none of them.
        """
        if revision == "HEAD":
            revision = "main"
        for name in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision):
            ref = Ref(name.encode())
            if ref.startswith(b"refs/") and check_ref_format(ref) and ref in self.git.refs:
                return self._commit(self.git.refs[ref])
        sha = ObjectID(revision.encode())
        if re.fullmatch("[0-9a-f]{40}", revision) and sha in self.git.object_store:
            found = self.git[sha]
            if isinstance(found, Commit):
                return found
        raise HubError(404, "RevisionNotFound", f"Invalid rev id: {revision}")

    def files(self, commit: Commit) -> list[File]:
        """Every file of a commit, by path."""
        entries = iter_tree_contents(self.git.object_store, commit.tree)
        return [self._file(entry.path.decode(), entry.sha) for entry in entries if entry.path and entry.sha]

    def folders(self, commit: Commit) -> dict[str, str]:
        """The git tree of every folder of a commit, by path."""
        entries = iter_tree_contents(self.git.object_store, commit.tree, include_trees=True)
        return {entry.path.decode(): entry.sha.decode() for entry in entries if entry.path and entry.mode == FOLDER}

    def file(self, commit: Commit, path: str) -> File | None:
        """The file at a path, or None."""
        tree = self.git[commit.tree]
        assert isinstance(tree, Tree)
        try:
            mode, sha = tree.lookup_path(self.git.object_store.__getitem__, path.encode())
        except (KeyError, NotTreeError):
            return None
        return self._file(path, sha) if mode != FOLDER else None

    def content(self, file: File) -> bytes:
        """What git holds for a file: its content, or the pointer to a large one."""
        blob = self.git[ObjectID(file.blob.encode())]
        assert isinstance(blob, Blob)
        return blob.data

    def large_path(self, file: File) -> Path:
        assert file.large
        return self._large.path(file.large)

    def history(self, commit: Commit) -> Iterator[Commit]:
        """A commit and its ancestors, newest first (local history is one line)."""
        yield commit
        while commit.parents:
            commit = self._commit(commit.parents[0])
            yield commit

    def last_changes(self, commit: Commit) -> dict[str, Commit]:
        """For every path of a commit, files and folders, the commit that gave it its present content."""
        present = self._hashes(commit)
        last: dict[str, Commit] = {}
        for older in self.history(commit):
            before = self._hashes(self._commit(older.parents[0])) if older.parents else {}
            changed = {path for path, sha in present.items() if path not in last and before.get(path) != sha}
            last |= dict.fromkeys(changed, older)
        return last

    def refs(self) -> Iterator[tuple[str, str]]:
        """Every ref and its commit."""
        for ref, sha in sorted(self.git.refs.as_dict().items()):
            if ref.startswith(b"refs/"):
                yield ref.decode(), sha.decode()

    # ---- writing

    def start(self, changes: Iterable[Change], author: str) -> None:
        """Makes the first commit of a new repository, on main."""
        self._write(Ref(b"refs/heads/main"), None, changes, "initial commit", author)

    def commit(self, branch: str, parent: str | None, changes: Iterable[Change], message: str, author: str) -> str:
        """Applies changes to a branch in one commit; returns its sha (the present one where nothing changes).

        Raises:
            HubError: `parent` is not the branch's head, or a change cannot be made. Nothing has changed then.
        """
        with self._lock:
            head = self.commit_at(branch)
            ref = Ref(f"refs/heads/{branch}".encode())
            if ref not in self.git.refs:
                raise HubError(400, "NotABranch", f"{branch} is not a branch")
            if parent and parent != head.id.decode():
                raise HubError(412, "PreconditionFailed", f"{branch} is at {head.id.decode()}, not at {parent}")
            return self._write(ref, head, changes, message, author)

    def squash(self, branch: str, message: str, author: str) -> str:
        """Puts one commit without history in place of a branch's head, with the same files; returns its sha."""
        with self._lock:
            head, ref = self.commit_at(branch), Ref(f"refs/heads/{branch}".encode())
            return self._move(ref, head, head.tree, [], message, author)

    def add_ref(self, ref: str, revision: str) -> None:
        """Makes a branch or tag where there is none of that name."""
        name = self._checked(ref)
        with self._lock:
            if not self.git.refs.add_if_new(name, self.commit_at(revision).id):
                raise HubError(409, "Conflict", f"Reference exists already: {ref}")
            sync_folder((self.folder / ref).parent)

    def remove_ref(self, ref: str) -> None:
        name = self._checked(ref)
        with self._lock:
            if name not in self.git.refs:
                raise HubError(404, "RevisionNotFound", f"Invalid rev id: {ref}")
            self.git.refs.remove_if_equals(name, None)

    # ---- git underneath

    def _write(self, ref: Ref, head: Commit | None, changes: Iterable[Change], message: str, author: str) -> str:
        entries = iter_tree_contents(self.git.object_store, head.tree) if head else ()
        before = {entry.path: entry.sha for entry in entries if entry.path and entry.sha}
        after = dict(before)
        placed = [change.path for change in changes if self._apply(after, change) and change.content is None]
        self._cover(after, [path for path in placed if path.encode() in after])
        if head and after == before:
            return head.id.decode()
        return self._move(ref, head, self._add_tree(after), [head.id] if head else [], message, author)

    def _move(
        self, ref: Ref, head: Commit | None, tree: ObjectID, parents: list[ObjectID], message: str, author: str
    ) -> str:
        """Writes a commit and lets the branch point at it, where it still points at `head`."""
        commit = Commit()
        commit.tree, commit.parents = tree, parents
        commit.author = commit.committer = f"{author} <{author}@localhost>".encode()
        commit.author_time = commit.commit_time = int(time.time())
        commit.author_timezone = commit.commit_timezone = 0
        commit.encoding = b"UTF-8"
        commit.message = message.encode()
        self._add(commit)
        for folder in self._touched:
            sync_folder(folder)
        if not self.git.refs.set_if_equals(ref, head.id if head else None, commit.id):
            raise HubError(412, "PreconditionFailed", "the branch moved meanwhile")
        sync_folder((self.folder / ref.decode()).parent)
        return commit.id.decode()

    def _cover(self, files: dict[bytes, ObjectID], paths: list[str]) -> None:
        """Gives the large files among these to git-lfs, as the real Hub does with a commit."""
        large = [path for path in paths if self._file(path, files[path.encode()]).large]
        name = gitattributes.FILE.encode()
        before = self.content(File(gitattributes.FILE, files[name].decode(), 0)) if name in files else b""
        after = gitattributes.covering(before, large)
        if after != before:
            files[name] = self._add(Blob.from_string(after))

    def _apply(self, files: dict[bytes, ObjectID], change: Change) -> bool:
        """Makes one change; True where it puts a file in place."""
        path = safe_path(change.path).encode()
        if change.content is not None:
            files[path] = self._add_content(change.content, change.path)
        elif change.large is not None:
            size = self._large.size(change.large)
            files[path] = self._add_content(pointer(change.large, size or 0), change.path)
        elif change.source is not None:
            source, there = safe_path(change.source).encode(), files
            if change.source_revision:
                entries = iter_tree_contents(self.git.object_store, self.commit_at(change.source_revision).tree)
                there = {entry.path: entry.sha for entry in entries if entry.path and entry.sha}
            if source not in there:
                raise HubError(404, "EntryNotFound", f"A file with this name doesn't exist: {change.source}")
            files[path] = there[source]
        else:
            gone = [name for name in files if name.startswith(path + b"/")] if change.folder else [path]
            if not gone or not all(name in files for name in gone):
                raise HubError(404, "EntryNotFound", f"A file with this name doesn't exist: {change.path}")
            for name in gone:
                del files[name]
            return False
        return True

    def _add_content(self, content: bytes, path: str) -> ObjectID:
        found = POINTER.fullmatch(content)
        if found and self._large.size(found[1].decode()) != int(found[2]):
            raise HubError(400, "LfsMissing", f"{path}: its content {found[1].decode()} was not uploaded")
        return self._add(Blob.from_string(content))

    def _add_tree(self, files: dict[bytes, ObjectID]) -> ObjectID:
        tree, below = Tree(), dict[bytes, dict[bytes, ObjectID]]()
        for path, sha in files.items():
            name, _, rest = path.partition(b"/")
            if rest:
                below.setdefault(name, {})[rest] = sha
            else:
                tree.add(name, FILE, sha)
        for name, inner in below.items():
            if name in tree:
                raise HubError(400, "InvalidPath", f"'{name.decode()}' would be both a file and a folder")
            tree.add(name, FOLDER, self._add_tree(inner))
        return self._add(tree)

    def _add(self, thing: ShaFile) -> ObjectID:
        if thing.id not in self.git.object_store:
            self.git.object_store.add_object(thing)
            objects = self.folder / "objects"
            self._touched |= {objects / thing.id[:2].decode(), objects}
        return thing.id

    def _commit(self, sha: ObjectID) -> Commit:
        found = self.git[sha]
        assert isinstance(found, Commit)
        return found

    def _file(self, path: str, sha: ObjectID) -> File:
        """Sizes are remembered by hash: what is under a hash never changes."""
        known = self._sizes.get(sha)
        if known is None:
            data = self.content(File(path, sha.decode(), 0))
            found = POINTER.fullmatch(data)
            large = (int(found[2]), found[1].decode()) if found else (len(data), None)
            known = self._sizes[sha] = File(path, sha.decode(), *large)
        return File(path, known.blob, known.size, known.large)

    def _hashes(self, commit: Commit) -> dict[str, bytes]:
        entries = iter_tree_contents(self.git.object_store, commit.tree, include_trees=True)
        return {entry.path.decode(): entry.sha for entry in entries if entry.path and entry.sha}

    def _checked(self, ref: str) -> Ref:
        if not check_ref_format(Ref(ref.encode())):
            raise HubError(400, "InvalidRef", f"{ref} cannot be the name of a branch or tag")
        return Ref(ref.encode())
