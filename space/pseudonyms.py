"""Pseudonyms for a day: the same visitor has the same one until midnight (UTC), and nobody can lead it back to him.

They are hashes under a salt that is drawn anew each day and kept in the memory of this process alone.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time


class Pseudonyms:
    """Gives pseudonyms, from any thread."""

    def __init__(self) -> None:
        self._day, self._salt, self._lock = "", b"", threading.Lock()

    def of(self, kind: str, name: str) -> str:
        """The pseudonym of a session or an address today: 64 bits in hexadecimal."""
        with self._lock:
            if (today := time.strftime("%Y-%m-%d", time.gmtime())) != self._day:
                self._day, self._salt = today, secrets.token_bytes(32)
            return hmac.new(self._salt, f"{kind}\x1f{name}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:16]
