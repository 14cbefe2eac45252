"""HTTP errors in the Hub's form."""

from __future__ import annotations


class HubError(Exception):
    """An answer other than success: HTTP status, the Hub's error code (X-Error-Code) and a message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code
