"""The vote log: what visitors prefer, on this disk at once and in the dataset `repartee-votes` by and by.

Every process appends to a file of its own, one JSON row a line, and holds a lock on it while it lives. Each push is one
commit with the whole of every file that has grown, under the file's own name: sent twice, or after a lost answer, it
changes nothing, so a row is in the dataset exactly once. Files without a lock are of processes that died; whoever
starts next pushes them, and deletes what the Hub has confirmed.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from hub.cards import dataset_card
from hub.errors import explain
from hub.votes.vote import FOLDER, Vote, votes_in_file, whole_lines

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
        line = json.dumps(vote.to_row(), ensure_ascii=False).encode("utf-8", "replace") + b"\n"
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
        """Every vote that is on this disk."""
        with self._writing:
            return [vote for path in sorted(self.folder.glob("*.jsonl")) for vote in votes_in_file(path)]

    def push(self) -> int:
        """Brings what is new to the Hub, in one commit; returns how many files it took.

        Raises:
            HfHubHTTPError, httpx2.TransportError: the Hub refused or did not answer; nothing is lost.
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
        from huggingface_hub import CommitOperationAdd, HfApi

        api = HfApi()
        if not self._made:
            api.create_repo(self.repo, repo_type="dataset", private=self.private, exist_ok=True)
        added = {f"{FOLDER}/{name}": content for name, content in files.items()}
        if not self._made and not api.file_exists(self.repo, "README.md", repo_type="dataset"):
            added["README.md"] = dataset_card("votes", METADATA, repo=self.repo).encode()
        operations = [CommitOperationAdd(path, content) for path, content in added.items()]
        api.create_commit(self.repo, operations, commit_message="Votes", repo_type="dataset")
        self._made = True


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
