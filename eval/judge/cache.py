"""Durable answer cache in SQLite (WAL mode): an answer is on disk before anything is made of it.

A SIGKILL loses what had not been answered yet and nothing else. What is kept is the answer by the key of its request.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eval.judge.messages import Answer
from hub.errors import UserError


class Cache:
    """Answer cache by request key, for all threads of one process; several processes may share the file.

    Raises:
        UserError: the file is damaged or cannot be used, or the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._errors():
            self._connection = sqlite3.connect(path, check_same_thread=False, timeout=30, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT) WITHOUT ROWID"
            )
            self._connection.execute("CREATE TABLE IF NOT EXISTS notes (key TEXT PRIMARY KEY, note TEXT)")
            (state,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
            if state != "ok":
                raise sqlite3.DatabaseError(state)

    def get(self, key: str) -> Answer | None:
        """The answer of a key, None where there is none yet."""
        with self._lock, self._errors():
            row = self._connection.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        return Answer.from_json(row[0]) if row else None

    def put(self, key: str, answer: Answer) -> None:
        """Keeps an answer; the one before it is replaced."""
        with self._lock, self._errors():
            self._connection.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, answer.to_json()))

    def note(self, key: str) -> str | None:
        """A note beside the answers (what a probe found, which batch was sent), None where there is none."""
        with self._lock, self._errors():
            row = self._connection.execute("SELECT note FROM notes WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else None

    def set_note(self, key: str, note: str | None) -> None:
        """Keeps a note, or forgets it with None."""
        with self._lock, self._errors():
            self._connection.execute("DELETE FROM notes WHERE key = ?", (key,))
            if note is not None:
                self._connection.execute("INSERT INTO notes VALUES (?, ?)", (key, note))

    def __len__(self) -> int:
        with self._lock, self._errors():
            return int(self._connection.execute("SELECT count(*) FROM answers").fetchone()[0])

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if "full" in str(error):
                raise UserError(
                    "the disk is full; free some space and start again, every answer so far is kept"
                ) from error
            if isinstance(error, sqlite3.OperationalError):
                raise UserError(
                    f"{self.path} cannot be used ({error}); see who else has it, and its permissions"
                ) from error
            raise UserError(
                f"{self.path} is damaged ({error}); move it away, and what is in it is paid for again"
            ) from error
