"""Repository: a bare git repository whose large files lie beside it.

A commit is written as objects and synced, then made visible by moving one ref under git's own lock: a kill leaves the
old state or the new one.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dulwich.objects import Blob, Commit, ObjectID
from dulwich.refs import Ref, check_ref_format

from hub.local import gitattributes
from hub.local.disk import clear_locks, sync_folder
from hub.local.errors import HubError
from hub.local.files import Change, File, pointer, safe_path
from hub.local.git_objects import Blobs, GitObjects
from hub.local.large import LargeFiles


class Repository:
    """An open repository, for one thread; close it after use. `lock` is the one for all who have it open."""

    def __init__(self, folder: Path, large: LargeFiles, lock: threading.Lock, sizes: dict[bytes, File]) -> None:
        self.folder, self._large, self._lock = folder, large, lock
        self._objects = GitObjects(folder, large, sizes)
        self.git = self._objects.git

    def close(self) -> None:
        """Closes the files that git has open."""
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
                return self._objects.commit(self.git.refs[ref])
        sha = ObjectID(revision.encode())
        if re.fullmatch("[0-9a-f]{40}", revision) and sha in self.git.object_store:
            found = self.git[sha]
            if isinstance(found, Commit):
                return found
        raise HubError(404, "RevisionNotFound", f"Invalid rev id: {revision}")

    def files(self, commit: Commit) -> list[File]:
        """Every file of a commit, by path."""
        return [self._objects.file(path.decode(), sha) for path, sha in self._objects.blobs(commit.tree).items()]

    def folders(self, commit: Commit) -> dict[str, str]:
        """The git tree of every folder of a commit, by path."""
        return self._objects.folders(commit.tree)

    def file(self, commit: Commit, path: str) -> File | None:
        """The file at a path, or None."""
        return self._objects.lookup(commit.tree, path)

    def content(self, file: File) -> bytes:
        """What git holds for a file: its content, or the pointer to a large one."""
        return self._objects.data(ObjectID(file.blob.encode()))

    def large_path(self, file: File) -> Path:
        """Where the content of a large file lies."""
        assert file.large
        return self._large.path(file.large)

    def history(self, commit: Commit) -> Iterator[Commit]:
        """A commit and its ancestors, newest first (local history is one line)."""
        return self._objects.history(commit)

    def last_changes(self, commit: Commit) -> dict[str, Commit]:
        """For every path of a commit, files and folders, the commit that gave it its present content."""
        present = self._objects.hashes(commit.tree)
        last: dict[str, Commit] = {}
        for older in self.history(commit):
            before = self._objects.hashes(self._objects.commit(older.parents[0]).tree) if older.parents else {}
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
        with self._writing():
            head = self.commit_at(branch)
            ref = Ref(f"refs/heads/{branch}".encode())
            if ref not in self.git.refs:
                raise HubError(400, "NotABranch", f"{branch} is not a branch")
            if parent and parent != head.id.decode():
                said = "The branch was updated since you opened this page. Please refresh and try again."
                raise HubError(
                    412, "PreconditionFailed", f"{said} ({branch} is at {head.id.decode()}, not at {parent})"
                )
            return self._write(ref, head, changes, message, author)

    def squash(self, branch: str, message: str, author: str) -> str:
        """Puts one commit without history in place of a branch's head, with the same files; returns its sha."""
        with self._writing():
            head, ref = self.commit_at(branch), Ref(f"refs/heads/{branch}".encode())
            return self._move(ref, head, head.tree, [], message, author)

    def add_ref(self, ref: str, revision: str | None, author: str, overwrite: bool = False) -> None:
        """Makes a branch or tag where there is none of that name.

        Args:
            ref: its whole name.
            revision: where; None: at a new commit without files.
            author: of that commit.
            overwrite: whether one that is there is moved, and no conflict.
        """
        try:
            with self._writing():
                sha = self.commit_at(self._whole(revision)).id if revision else self._empty_commit(author)
                name = self._checked(ref)
                if overwrite and name in self.git.refs:
                    self.git.refs[name] = sha
                elif not self.git.refs.add_if_new(name, sha):
                    raise HubError(409, "Conflict", f"Reference {ref} already exists")
                sync_folder((self.folder / ref).parent)
        except (NotADirectoryError, IsADirectoryError, FileExistsError) as error:
            raise HubError(409, "Conflict", f"{ref} lies below or above another branch or tag") from error

    def remove_ref(self, ref: str) -> None:
        """Removes a branch or tag. Raises HubError where there is none of that name."""
        name = self._checked(ref)
        with self._writing():
            if name not in self.git.refs:
                raise HubError(404, "RevisionNotFound", f"Invalid rev id: {ref}")
            self.git.refs.remove_if_equals(name, None)

    def _empty_commit(self, author: str) -> ObjectID:
        sha = self._objects.add_commit(self._objects.add_tree({}), [], "initial commit", author)
        self._objects.sync()
        return sha

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One writer at a time. Git's lock files stay where a write fails (a full disk): they would refuse the next."""
        with self._lock:
            try:
                yield
            except OSError:
                clear_locks(self.folder)
                raise

    # ---- one commit

    def _write(self, ref: Ref, head: Commit | None, changes: Iterable[Change], message: str, author: str) -> str:
        before = self._objects.blobs(head.tree) if head else {}
        after = dict(before)
        placed = [change.path for change in changes if self._apply(after, change) and change.content is None]
        self._cover(after, [path for path in placed if path.encode() in after])
        if head and after == before:
            return head.id.decode()
        return self._move(ref, head, self._objects.add_tree(after), [head.id] if head else [], message, author)

    def _move(
        self, ref: Ref, head: Commit | None, tree: ObjectID, parents: list[ObjectID], message: str, author: str
    ) -> str:
        """Writes a commit and lets the branch point at it, where it still points at `head`."""
        sha = self._objects.add_commit(tree, parents, message, author)
        self._objects.sync()
        if not self.git.refs.set_if_equals(ref, head.id if head else None, sha):
            raise HubError(412, "PreconditionFailed", "the branch moved meanwhile")
        sync_folder((self.folder / ref.decode()).parent)
        return sha.decode()

    def _cover(self, files: Blobs, paths: list[str]) -> None:
        """Gives the large files among these to git-lfs, as the real Hub does with a commit."""
        large = [path for path in paths if self._objects.file(path, files[path.encode()]).large]
        name = gitattributes.GITATTRIBUTES.encode()
        before = self._objects.data(files[name]) if name in files else b""
        after = gitattributes.track_with_lfs(before, large)
        if after != before:
            files[name] = self._objects.add(Blob.from_string(after))

    def _apply(self, files: Blobs, change: Change) -> bool:
        """Makes one change; True where it puts a file in place."""
        path = safe_path(change.path).encode()
        if change.content is not None:
            files[path] = self._objects.add_content(change.content, change.path)
        elif change.large is not None:
            size = self._large.size(change.large)
            files[path] = self._objects.add_content(pointer(change.large, size or 0), change.path)
        elif change.source is not None:
            source, there = safe_path(change.source).encode(), files
            if change.source_revision:
                there = self._objects.blobs(self.commit_at(change.source_revision).tree)
            if source not in there:
                raise HubError(404, "EntryNotFound", f"A file with this name doesn't exist: {change.source}")
            files[path] = there[source]
        else:
            as_folder = change.folder or path not in files  # a path without a slash may mean a folder
            gone = [name for name in files if name.startswith(path + b"/")] if as_folder else [path]
            if not gone or not all(name in files for name in gone):
                raise HubError(404, "EntryNotFound", f"A file with this name doesn't exist: {change.path}")
            for name in gone:
                del files[name]
            return False
        return True

    def _whole(self, revision: str) -> str:
        """The full sha of the one commit of this history that a short one begins; any other revision as it is."""
        if not re.fullmatch("[0-9a-f]{7,39}", revision) or any(ref.endswith(f"/{revision}") for ref, _ in self.refs()):
            return revision
        every = {commit.id.decode() for _, head in self.refs() for commit in self.history(self.commit_at(head))}
        found = [sha for sha in every if sha.startswith(revision)]
        return found[0] if len(found) == 1 else revision

    def _checked(self, ref: str) -> Ref:
        if not check_ref_format(Ref(ref.encode())):
            raise HubError(400, "InvalidRef", f"{ref} cannot be the name of a branch or tag")
        return Ref(ref.encode())
