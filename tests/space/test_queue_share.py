"""A visitor's share of the queue, by raw HTTP: many requests of one address leave room for another's."""

from __future__ import annotations

import pytest

from space.page import AT_ONCE
from space.queue_share import MAX_WAITING
from tests.support.stage import playing

SAID = ["Hello.", "dpo", 0.9, 25, 0.95, None, "", ""]


def joined(stage, session: str, address: str) -> int:
    """The status of one more request."""
    body = {"fn_index": stage.index("say"), "data": SAID, "session_hash": session}
    with stage.client() as client:
        return client.post("gradio_api/queue/join", json=body, headers={"X-Forwarded-For": address}).status_code


@pytest.fixture
def busy():
    """A page whose engine answers nobody until it is told to, with every place taken by somebody else."""
    with playing(proxies="127.0.0.1") as stage:
        stage.engine.open.clear()
        assert [joined(stage, f"first{n}", f"10.0.0.{n}") for n in range(AT_ONCE)] == [200] * AT_ONCE
        stage.engine.wait_for(AT_ONCE)
        yield stage


def test_one_address_cannot_fill_the_queue(busy):
    statuses = [joined(busy, f"s{n}", "6.6.6.6") for n in range(10)]
    assert statuses == [200] * MAX_WAITING + [429] * (10 - MAX_WAITING)
    assert joined(busy, "other", "7.7.7.7") == 200, "somebody else has a place"
    assert joined(busy, "s", "2001:db8::1") == 200
    assert [joined(busy, f"t{n}", f"2001:db8::{n}") for n in range(2, 5)] == [200, 200, 429], "a /64 is one household"


def test_one_session_cannot_fill_it_from_many_addresses(busy):
    with busy.client() as client:  # its cookie makes it the same session's
        body = {"fn_index": busy.index("say"), "data": SAID, "session_hash": "one"}
        statuses = [
            client.post("gradio_api/queue/join", json=body, headers={"X-Forwarded-For": f"8.8.8.{n}"}).status_code
            for n in range(5)
        ]
    assert statuses == [200] * MAX_WAITING + [429] * 2


def test_every_way_into_the_queue_is_counted_and_none_leads_past_it(busy):
    headers = {"X-Forwarded-For": "6.6.6.6"}
    with busy.client() as client:
        for path in ("call/chat", "call/v2/chat", "queue/join", "call/compare"):
            body = {"data": SAID, "fn_index": busy.index("say"), "session_hash": "s", "line": "Hello."}
            body = {"line": "Hello."} if "v2" in path else body | ({} if "join" in path else {"data": ["Hello."]})
            last = client.post(f"gradio_api/{path}", json=body, headers=headers)
        assert (last.status_code, last.json()["detail"][:27]) == (429, "You have 3 requests waiting")
        for path in ("run/chat", "api/compare"):
            assert client.post(f"gradio_api/{path}", json={"data": ["Hello."]}, headers=headers).status_code == 404


def test_a_place_is_free_again_when_an_answer_has_come(busy):
    assert [joined(busy, "s", "6.6.6.6") for _ in range(MAX_WAITING + 1)][-1] == 429
    busy.engine.open.set()
    busy.engine.wait_for(AT_ONCE + MAX_WAITING)
    assert joined(busy, "s", "6.6.6.6") == 200
