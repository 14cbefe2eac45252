"""The vote log: what visitors prefer, on this disk at once and in the dataset `repartee-votes` by and by.

Every process appends to a file of its own, one JSON row a line, and holds a lock on it while it lives. Each push is one
commit with the whole of every file that has grown, under the file's own name: sent twice, or after a lost answer, it
changes nothing, so a row is in the dataset exactly once. Files without a lock are of processes that died; whoever
starts next pushes them, and deletes what the Hub has confirmed.

A deleted vote is a line more in the file of the process that was told so. The next push takes the vote out of the
dataset's files and names it in `deleted/`, where readers, and processes that still have the row, look.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hub.cards import dataset_card
from hub.errors import explain
from hub.votes.vote import (
    DELETED_FOLDER,
    FOLDER,
    Vote,
    deleted_in,
    deletion_line,
    votes_in_file,
    whole_lines,
    without_deleted,
)
from hub.write_access import require_private

PUSH_INTERVAL = 300.0  # seconds between two commits; the Hub asks for no more than one in five minutes
METADATA = {
    "pretty_name": "Repartee votes",
    "license": "other",
    "license_name": "mixed",
    "configs": [{"config_name": "votes", "data_files": [{"split": "train", "path": f"{FOLDER}/*.jsonl"}]}],
}


class VoteLog:
    """Keeps votes in a folder and brings them to the Hub from a thread of its own.

    Args:
        repo: dataset on the Hub; made at the first push that has something to send.
        folder: of this repo alone; several processes may share it.
        every: seconds between two pushes.
        private: how the dataset is made.
    """

    def __init__(self, repo: str, folder: Path, every: float = PUSH_INTERVAL, private: bool = False) -> None:
        self.repo, self.folder, self.every, self.private = repo, folder, every, private
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(8)}.jsonl"
        self._file: int | None = None
        self._writing = threading.Lock()
        self._pushing = threading.Lock()
        self._pushed = 0  # bytes of our own file that the Hub has
        self._made = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._push_now_and_then, name="votes", daemon=True)
        self._thread.start()

    def add(self, vote: Vote) -> None:
        """Appends a vote; when it returns, the vote is on the disk. Raises OSError where the disk does not take it."""
        self._append(json.dumps(vote.to_row(), ensure_ascii=False).encode("utf-8", "replace") + b"\n")

    def delete(self, comparison: str) -> None:
        """Deletes the vote on a comparison, here at once and in the dataset at the next push. Raises as `add` does."""
        self._append(deletion_line(comparison))

    def _append(self, line: bytes) -> None:
        with self._writing:
            if self._file is None:
                self._file = create_locked(self._path)
            before = os.fstat(self._file).st_size
            try:
                if os.write(self._file, line) != len(line):
                    raise OSError("the disk took only a part of the vote")
                os.fsync(self._file)
            except OSError:
                os.ftruncate(self._file, before)  # so that the next vote begins a line
                raise

    def votes(self) -> list[Vote]:
        """Every vote that is on this disk and was not deleted."""
        with self._writing:
            paths = sorted(self.folder.glob("*.jsonl"))
            gone = {id for path in paths for id in deleted_in(path.read_bytes())}
            return [vote for path in paths for vote in votes_in_file(path) if vote.comparison not in gone]

    def push(self) -> int:
        """Brings what is new to the Hub, in one commit; returns how many files it took.

        Raises:
            HfHubHTTPError, httpx2.TransportError: the Hub refused or did not answer; nothing is lost.
            UserError: the dataset is public, and shall be private.
        """
        with self._pushing:
            with self._writing:
                own = self._path.read_bytes() if self._file is not None else b""
            left = {
                path: file for path in sorted(self.folder.glob("*.jsonl")) if (file := lock_abandoned(path)) is not None
            }
            try:
                contents = {path: whole_lines(path.read_bytes()) for path in left}
                contents |= {self._path: own} if len(own) > self._pushed else {}
                if sent := {path.name: content for path, content in contents.items() if content}:
                    self._commit(sent)
                self._pushed = len(own)
                for path in left:
                    path.unlink(missing_ok=True)
                return len(sent)
            finally:
                for file in left.values():
                    os.close(file)

    def close(self) -> None:
        """Ends the thread and pushes once more. What the Hub does not take waits on the disk for the next start."""
        self._closing.set()
        self._thread.join()
        self._try_push()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _push_now_and_then(self) -> None:
        self._try_push()
        while not self._closing.wait(self.every):
            self._try_push()

    def _try_push(self) -> None:
        try:
            self.push()
        except Exception as error:  # a Hub in trouble must not end the page, nor this thread
            reason = explain(error) or f"{type(error).__name__}: {error}"
            print(f"votes: kept on disk, not pushed yet ({reason})", flush=True)

    def _commit(self, files: Mapping[str, bytes]) -> None:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

        api = HfApi()
        if not self._made:
            api.create_repo(self.repo, repo_type="dataset", private=self.private, exist_ok=True)
            require_private(api.dataset_info(self.repo), self.repo, "dataset", self.private)
        gone_now = {id for content in files.values() for id in deleted_in(content)}
        there = api.list_repo_files(self.repo, repo_type="dataset")
        gone = gone_now | self._deleted_there(there)
        rows = {f"{FOLDER}/{name}": without_deleted(content, gone) for name, content in files.items()}
        added = {path: content for path, content in rows.items() if content}
        added |= {
            f"{DELETED_FOLDER}/{name}": b"".join(map(deletion_line, sorted(ids)))
            for name, content in files.items()
            if (ids := deleted_in(content))
        }
        if gone_now:
            added |= self._cleaned(there, gone, list(rows))
        if "README.md" not in there:
            added["README.md"] = dataset_card("votes", METADATA, repo=self.repo).encode()
        operations: list[Any] = [CommitOperationAdd(path, content) for path, content in added.items() if content]
        emptied = [path for path, content in added.items() if not content]
        emptied += [path for path, content in rows.items() if not content and path in there]
        operations += map(CommitOperationDelete, emptied)
        api.create_commit(self.repo, operations, commit_message="Votes", repo_type="dataset")
        self._made = True

    def _deleted_there(self, there: Sequence[str]) -> set[str]:
        """Comparisons whose votes the dataset says are deleted."""
        paths = [path for path in there if path.startswith(f"{DELETED_FOLDER}/")]
        return {id for path in paths for id in deleted_in(self._fetched(path))}

    def _cleaned(self, there: Sequence[str], gone: set[str], ours: Sequence[str]) -> dict[str, bytes]:
        """Files of the dataset, not ours, that hold a deleted vote, without it."""
        others = [path for path in there if path.startswith(f"{FOLDER}/") and path not in ours]
        contents = {path: self._fetched(path) for path in others}
        cleaned = {path: without_deleted(content, gone) for path, content in contents.items()}
        return {path: content for path, content in cleaned.items() if content != contents[path]}

    def _fetched(self, path: str) -> bytes:
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(self.repo, path, repo_type="dataset")).read_bytes()


def create_locked(path: Path) -> int:
    """Makes a file to append to, under a lock that lasts as long as this process; returns its descriptor.

    It gets its name when it has its lock: without one, it would be taken for that of a dead process.
    """
    unnamed = path.with_suffix(".new")
    file = os.open(unnamed, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX)
    unnamed.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    return file


def lock_abandoned(path: Path) -> int | None:
    """A dead process's file under our lock, as a descriptor; None where its process lives, or it has gone."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file
