"""Limits for slow connections: a request is sent within a limit, and an answer that waits is taken within another.

uvicorn waits for ever for the rest of a request, and for a client that does not read; so somebody who opens connections
and is slow on all of them would hold them all. Both limits stand in the protocol, beneath everything that answers.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http import auto

SENDING_SECONDS = 20.0  # seconds from a request's first byte, or from the connection, until it is whole
READING_SECONDS = 30.0  # seconds in which READING_BYTES of a full buffer are read, at least
READING_BYTES = 16 * 1024  # bytes
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Deadline:
    """A timer that can be set and lifted; it closes a connection."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float, close: Any) -> None:
        """Starts to run, where it is not running."""
        self._timer = self._timer or asyncio.get_running_loop().call_later(seconds, close)

    def lift(self) -> None:
        """Stops."""
        if self._timer:
            self._timer.cancel()
        self._timer = None


def limited(protocol: Any, sending: float = SENDING_SECONDS, reading: float = READING_SECONDS) -> Any:
    """The HTTP protocol of uvicorn with both limits, in seconds."""

    class Limited(protocol):  # type: ignore[misc]
        """One connection."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.sent, self.read = Deadline(), Deadline()

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.sent.set(sending, self.end)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is None or self.cycle.more_body or self.cycle.response_complete:
                self.sent.set(sending, self.end)  # a part of a request has come
            else:
                self.sent.lift()

        def pause_writing(self) -> None:
            super().pause_writing()
            self.unread = self.transport.get_write_buffer_size()
            self.read.set(reading, self.end_unread)

        def resume_writing(self) -> None:
            super().resume_writing()
            self.read.lift()

        def connection_lost(self, exc: Exception | None) -> None:
            self.sent.lift()
            self.read.lift()
            super().connection_lost(exc)

        def end_unread(self) -> None:
            """Ends the connection, unless enough of the buffer was read."""
            before, self.unread = self.unread, self.transport.get_write_buffer_size()
            self.read.lift()
            if before - self.unread < READING_BYTES:
                self.transport.abort()
            else:
                self.read.set(reading, self.end_unread)

        def end(self) -> None:
            """Says why, and ends the connection."""
            if not self.transport.is_closing():
                self.transport.write(TOO_SLOW)
                self.transport.close()

    return Limited


def limit_slow_connections() -> None:
    """From now on every server of uvicorn in this process has both limits; Gradio starts its own, of the class here."""
    if auto.AutoHTTPProtocol.__name__ != "Limited":
        auto.AutoHTTPProtocol = limited(auto.AutoHTTPProtocol)
