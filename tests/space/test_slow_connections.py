"""Slow connections are closed: one that sends nothing, a half request, a half body, and one that does not read."""

from __future__ import annotations

import asyncio
import time

import pytest
import uvicorn
from uvicorn.protocols.http import auto

from chat.engine.threads import run_in_own_thread
from hub.local import free_port
from space.slow_connections import limited
from tests.support.stage import playing

LIMIT = 0.6


async def big(scope, receive, send):
    """Answers with as much as it is asked for; no buffer takes it all."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(400 if scope["path"] == "/big" else 1):
        await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def talk(*pieces: bytes, read: bool = True, pause: float = 0.0) -> tuple[bytes, float]:
    """Sends pieces with pauses between; returns what was answered until the connection was closed, and the seconds."""

    async def main():
        config = uvicorn.Config(
            big, port=free_port(), log_level="error", lifespan="off", http=limited(protocol(), LIMIT, LIMIT)
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection("127.0.0.1", config.port, limit=1024)
        began = time.monotonic()
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(pause)
        if not read:
            await asyncio.sleep(3 * LIMIT)
        said = bytearray()
        try:
            while part := await asyncio.wait_for(reader.read(1 << 16), 5):
                said += part
        except ConnectionError:
            said += b"(cut)"
        took = time.monotonic() - began
        server.should_exit = True
        await serving
        return bytes(said), took

    return run_in_own_thread(asyncio.run, main())  # the browser's loop may run in this one


def protocol():
    """uvicorn's own, also where a page of this process has limited it already."""
    return next(one for one in auto.AutoHTTPProtocol.__mro__ if one.__name__ != "Limited")


@pytest.mark.parametrize(
    "pieces",
    [
        (),
        (b"GET / HTTP/1.1\r\nhost: x\r\n",),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf",),
        (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"GET / HTTP/1.1\r\n"),
    ],
)
def test_a_request_that_does_not_come_to_its_end_is_closed(pieces):
    said, took = talk(*pieces, pause=0.1)
    assert said.endswith(b"content-length: 0\r\n\r\n")
    assert b"408 Request Timeout" in said
    assert LIMIT - 0.05 <= took < LIMIT + 2


def test_drops_of_a_request_do_not_keep_it_open():
    head = b"GET / HTTP/1.1\r\nhost: x\r\na: "
    said, took = talk(head, *[b"b"] * 12, pause=0.1)
    assert b"408 Request Timeout" in said or said == b"(cut)", "what is sent on after the end may cut its answer off"
    assert took < 2


def test_who_does_not_read_is_cut_off_and_who_reads_is_not():
    ask = b"GET /big HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    said, _ = talk(ask)
    assert len(said) > 40_000_000
    said, _ = talk(ask, read=False)
    assert len(said) < 40_000_000


def test_a_page_has_the_limits():
    with playing():
        assert auto.AutoHTTPProtocol.__name__ == "Limited"
        assert [one.__name__ for one in auto.AutoHTTPProtocol.__mro__].count("Limited") == 1
