"""The log holds no word of a visitor's, whatever path he sends it by."""

from __future__ import annotations

import logging
from contextlib import suppress

import httpx2
import pytest

from space.log_filter import outline
from tests.support.stage import ask, playing

MARKER = "walrus-7f3a"
KNOBS = {"temperature": 0.9, "top_k": 25, "top_p": 0.95}


def test_an_outline_says_what_and_where_and_not_more():
    def read(value: str) -> int:
        return int(value)

    with pytest.raises(ValueError, match=MARKER) as raised:
        read(MARKER)
    told = outline(raised.value)
    assert told.startswith("ValueError at space/test_log_filter.py:")
    assert "in read" in told
    assert MARKER not in told
    assert outline(None) == "no error"


@pytest.mark.parametrize("name", ["uvicorn.error", "mcp.server", "asyncio", "somebody.else"])
def test_a_warning_of_another_package_is_where_it_was_logged(stage, name, caplog):
    try:
        raise ValueError(MARKER)
    except ValueError:
        logging.getLogger(name).exception("sent: %s", MARKER)
    logging.getLogger(name).warning(f"sent: {MARKER}")
    assert MARKER not in caplog.text
    assert [record.name for record in caplog.records] == [name, name]
    assert "ValueError at space/test_log_filter.py" in caplog.text
    caplog.clear()
    logging.getLogger("space.ballots").warning("the votes are full")
    assert "the votes are full" in caplog.text


def joined(client: httpx2.Client, stage, function: int | str, data: object) -> int:
    number = stage.index(function) if isinstance(function, str) else function
    body = {"fn_index": number, "data": data, "session_hash": "s"}
    return client.post("gradio_api/queue/join", json=body).status_code


def post(client: httpx2.Client, path: str, **sent: object) -> None:
    """Gradio hangs up on some of what it cannot read."""
    with suppress(httpx2.TransportError):
        client.post(path, **sent)


def test_no_path_brings_a_visitors_words_into_the_log(stage, capfd, caplog):
    statuses = {}
    with stage.client() as client:
        many = [MARKER] * 3000
        for function in ("say", "again", "blind", "vote", "undo", 10_000, -1):
            for data in ([MARKER], many, MARKER, {"a": MARKER}, None):
                if not (function == "undo" and data == [MARKER]):
                    statuses[f"{function} {str(data)[:9]}"] = joined(client, stage, function, data)
        refused = dict(statuses)
        for name in ("chat", "compare", MARKER):
            for body in ({"data": [MARKER]}, {"data": many}, {"data": []}, {"data": MARKER}, {MARKER: MARKER}):
                for path in ("api", "run", "call"):
                    post(client, f"gradio_api/{path}/{name}", json=body)
            post(client, f"gradio_api/call/v2/{name}", json={"line": MARKER, **KNOBS, MARKER: MARKER})
        for content in (MARKER, f'{{"data": "{MARKER}"', f'["{MARKER}"]', "[" * 5000):
            post(client, "gradio_api/queue/join", content=content, headers={"content-type": "application/json"})
        for parameters in ({"session_hash": MARKER}, {}, {MARKER: MARKER}):
            with (
                suppress(httpx2.TransportError),
                client.stream("GET", "gradio_api/queue/data", params=parameters) as told,
            ):
                next(told.iter_lines(), None)
        with suppress(httpx2.TransportError):
            client.get(f"gradio_api/call/chat/{MARKER}")
        post(client, "gradio_api/cancel", json={"session_hash": MARKER, "fn_index": 1, "event_id": MARKER})
        client.get(f"{MARKER}?{MARKER}={MARKER}", headers={"user-agent": MARKER, "cookie": f"a={MARKER}"})
        ask(client, stage.index("say"), [MARKER, "dpo", 99, 25, 0.95, None, "", ""], "out of range")
        ask(client, stage.index("say"), [MARKER, MARKER, 0.9, 25, 0.95, None, "", ""], "no such variant")
        ask(client, stage.index("say"), [MARKER, "dpo", MARKER, 25, 0.95, None, "", ""], "no number")
        ask(client, stage.index("say"), [{"a": MARKER}, "dpo", 0.9, 25, 0.95, None, "", ""], "no text")
        ask(client, stage.index("say"), ["Who?", "dpo", 0.9, 25, 0.95, None, {"a": MARKER}, [MARKER]], "no scene")
    told = capfd.readouterr()
    log = told.out + told.err + caplog.text
    assert MARKER not in log
    assert len(log) < 60_000, f"{len(log):,} bytes of log"
    assert set(refused.values()) == {400}, "what Gradio would have written whole"


def test_reading_answers_is_within_the_rate():
    with playing(address_rate=5) as stage, stage.client() as client:
        seen = []
        for number in range(8):
            with client.stream("GET", "gradio_api/queue/data", params={"session_hash": f"s{number}"}) as answer:
                seen.append(answer.status_code)
    assert seen.count(429) == 3
    assert seen[-1] == 429
