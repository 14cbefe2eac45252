"""Whose a session is: who knows its number, and not its cookie, can neither read it, nor stop it, nor speak in it."""

from __future__ import annotations

import asyncio

from chat.engine.threads import run_in_own_thread
from space.session_owners import SessionOwners, cookie_of, network_of, new_cookie, with_cookie
from tests.support.stage import ask

SAID = ["Where is the money?", "dpo", 0.9, 25, 0.95, None, "", ""]
A, B = "a" * 32, "b" * 32


def test_a_stranger_can_neither_read_stop_nor_speak(stage):
    say, undo = stage.index("say"), stage.index("undo")
    with stage.client() as owner, stage.client() as stranger:
        owner.get("")
        assert ask(owner, say, SAID, "mine")[-1]["success"]
        stage.engine.open.clear()
        joined = owner.post("gradio_api/queue/join", json={"fn_index": say, "data": SAID, "session_hash": "mine"})
        for cookies in ({}, {"repartee": B}):
            stranger.cookies.clear()
            stranger.cookies.update(cookies)
            tried = [
                stranger.get("gradio_api/queue/data?session_hash=mine"),
                stranger.get("gradio_api/queue/data?session_hash=other&session_hash=mine"),
                stranger.get("gradio_api/heartbeat/mine"),
                stranger.post(
                    "gradio_api/cancel",
                    json={"session_hash": "mine", "fn_index": say, "event_id": joined.json()["event_id"]},
                ),
                stranger.post("gradio_api/queue/join", json={"fn_index": say, "data": SAID, "session_hash": "mine"}),
                stranger.post(
                    "gradio_api/run/predict", json={"fn_index": undo, "data": [None], "session_hash": "mine"}
                ),
            ]
            assert [answer.status_code for answer in tried] == [403] * len(tried)
            assert "another browser" in tried[0].json()["detail"]
            assert "money" not in "".join(answer.text for answer in tried)
        stage.engine.open.set()
        with owner.stream("GET", "gradio_api/queue/data", params={"session_hash": "mine"}) as lines:
            assert any("process_completed" in line for line in lines.iter_lines()), "the owner's answer still comes"


def test_a_program_without_cookies_has_its_sessions_by_its_address(stage):
    with stage.client() as client:
        client.event_hooks["request"].append(lambda request: request.headers.pop("cookie", None))
        for _ in range(2):
            assert ask(client, stage.index("say"), SAID, "program")[-1]["success"]


def test_who_began_a_session_has_it():
    owners = SessionOwners(most=2)
    assert owners.allow("s", A, True, "1.1.1.1", begins=True)
    assert owners.allow("s", A, True, "2.2.2.2", begins=False), "a phone changes its address"
    assert not owners.allow("s", B, True, "1.1.1.1", begins=True)
    assert not owners.allow("s", B, False, "1.1.1.1", begins=False)
    assert owners.allow("new", B, True, "1.1.1.1", begins=False), "of a session that has not begun there is nothing"
    assert owners.allow("program", A, False, "1.1.1.1", begins=True)
    assert owners.allow("program", B, False, "1.1.1.1", begins=False)
    assert not owners.allow("program", B, False, "3.3.3.3", begins=False)
    assert owners.allow("program", A, True, "1.1.1.1", begins=False), "it keeps its cookie after all"
    assert not owners.allow("program", B, False, "1.1.1.1", begins=False)
    owners.allow("third", B, True, "1.1.1.1", begins=True)
    assert set(owners._owners) == {"program", "third"}, "the one that was not used for longest is forgotten"


def test_an_ipv6_household_is_one_address():
    assert network_of(("2001:db8:1:2:3:4:5:6", 80)) == network_of(("2001:db8:1:2::9", 80)) == "2001:db8:1:2::"
    assert network_of(("::ffff:1.2.3.4", 80)) == network_of(("1.2.3.4", 81)) == "1.2.3.4"
    assert (network_of(None), network_of(("socket", 0))) == ("unknown", "socket")


def test_the_cookie_is_random_and_no_script_reads_it(stage):
    with stage.client() as client:
        given = [client.get("", headers={"cookie": ""}).headers["set-cookie"] for _ in range(2)]
    assert given[0] != given[1]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(given[0].split("; "))
    assert "Max-Age" not in given[0]
    for header, found in (
        (f"repartee={A}", A), (f"x=1; repartee={A}", A), ("repartee=short", ""), ("repartee=<b>", ""), ("", ""),
    ):  # fmt: skip
        assert cookie_of({"headers": [(b"cookie", header.encode())]}) == found
    assert len(new_cookie()) == 32


def test_in_the_frame_of_a_space_the_cookie_needs_https():
    sent = []

    async def send(message):
        sent.append(message)

    answering = with_cookie(send, A, {"scheme": "https"})({"type": "http.response.start", "headers": []})
    run_in_own_thread(asyncio.run, answering)  # the browser's loop may run in this one
    assert sent[0]["headers"][0][1].endswith(b"; SameSite=None; Secure; Partitioned")
