"""The request guard: which paths are open, how large a request may be, rate limits, and the queue behind it."""

from __future__ import annotations

import secrets
from contextlib import ExitStack

import pytest

from space.page import AT_ONCE, WAITING
from space.request_guard import TokenBucket
from tests.support.stage import playing

KNOBS = [0.9, 25, 0.95]


def test_a_quarter_of_a_megabyte_is_refused_with_a_clear_line(stage, visit):
    with visit(stage.url) as page:
        page.evaluate("""() => {
            const box = document.querySelector("#chat-line textarea");
            box.removeAttribute("maxlength");
            box.value = "x ".repeat(1 << 17);
            box.dispatchEvent(new Event("input", {bubbles: true}));
        }""")
        page.click("#chat-send")
        page.get_by_text("That is too long").first.wait_for()
        page.fill("#chat-line textarea", "Hello.")
        page.press("#chat-line textarea", "Enter")
        page.wait_for_function("() => document.querySelector('#chat-note').textContent.includes('token')")


def test_who_sends_a_megabyte_always_hears_why(stage):
    """And is not cut off in the middle of it, which a client tells as a broken connection."""
    with stage.client() as client:
        for _ in range(40):
            answer = client.post("gradio_api/queue/join", content=b"x" * (1 << 20))
            assert (answer.status_code, answer.json()["detail"][:16]) == (413, "That is too long")


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/file=/etc/passwd", "file=/etc/passwd", "file/etc/passwd", "gradio_api/upload", "upload",
        "gradio_api/proxy=http://192.0.2.1/", "monitoring", "gradio_api/component_server", "gradio_api/vibe-code/",
        "gradio_api/vibe-edit/", "gradio_api/stream/a/b/1/playlist.m3u8", "gradio_api/deep_link", "login",
        "docs", "gradio_api/mcp/", "custom_component/x", "static/../../../../etc/passwd",
        "assets/..%2f..%2f..%2fetc%2fpasswd", "gradio_api/queue/../file=/etc/passwd",
    ],
)  # fmt: skip
def test_no_file_is_served_or_taken_and_nothing_but_the_page_is_open(stage, path):
    with stage.client() as client:
        assert client.get(path).status_code in (403, 404)
        assert client.post(path, files={"files": b"x"}).status_code in (404, 405)


def test_a_rate_is_so_many_a_minute_for_each():
    rate = TokenBucket(6, most=2)
    assert [rate.wait("a", 0.0) for _ in range(6)] == [0.0] * 6
    assert rate.wait("a", 0.0) == pytest.approx(10)
    assert rate.wait("b", 0.0) == 0
    assert rate.wait("a", 9.0) == pytest.approx(1)
    assert rate.wait("a", 10.0) == 0
    assert [rate.wait("a", 1000.0) for _ in range(7)].count(0) == 6, "idle time saves up one minute, not more"
    rate.wait("c", 1000.0)
    assert set(rate._left) == {"a", "c"}, "the one that has not asked for longest is forgotten"


def statuses(stage, count: int, session: str | None = None, **headers: str) -> list[int]:
    """Of requests for an answer, from sessions of their own unless one is given."""
    index = stage.index("undo")
    with stage.client() as client:
        return [
            client.post(
                "gradio_api/run/predict",
                json={"fn_index": index, "data": [None], "session_hash": session or secrets.token_hex(5)},
                headers={key.replace("_", "-"): value for key, value in headers.items()},
            ).status_code
            for _ in range(count)
        ]


def test_sessions_and_addresses_are_limited_and_nobody_can_say_that_he_is_another():
    with playing(session_rate=5, address_rate=12) as stage:
        assert statuses(stage, 7, "one") == [200] * 5 + [429] * 2
        assert statuses(stage, 6) == [200] * 5 + [429]  # 12 from this address
        assert statuses(stage, 1, X_Forwarded_For="1.2.3.4") == [429]


def test_behind_a_trusted_proxy_every_visitor_has_an_address():
    with playing(session_rate=50, address_rate=3, proxies="127.0.0.1,10.0.0.0/8") as stage:
        assert statuses(stage, 4, X_Forwarded_For="1.2.3.4, 10.0.0.7") == [200] * 3 + [429]
        assert statuses(stage, 1, X_Forwarded_For="1.2.3.5") == [200]
        assert statuses(stage, 1, X_Forwarded_For="6.6.6.6, 1.2.3.4") == [429], "what a visitor wrote does not count"


def test_too_many_requests_and_a_full_queue_are_said_clearly(visit):
    with playing(session_rate=4) as stage, visit(stage.url) as page:
        told = page.get_by_text("That was a lot of requests").first
        for _ in range(30):  # while an answer is still closing the page takes no line
            page.fill("#chat-line textarea", "Hello.")
            page.press("#chat-line textarea", "Enter")
            page.wait_for_timeout(150)
            if told.is_visible():
                break
        told.wait_for()
    with playing(proxies="127.0.0.1") as stage, visit(stage.url) as page:
        say = stage.index("say")
        stage.engine.open.clear()
        with stage.client() as client:
            joined = [
                client.post(
                    "gradio_api/queue/join",
                    json={"fn_index": say, "data": ["Hello.", "dpo", *KNOBS, None, "", ""], "session_hash": f"s{n}"},
                    headers={"X-Forwarded-For": f"10.0.0.{n}"},
                ).status_code
                for n in range(AT_ONCE + WAITING + 10)
            ]
        assert joined.count(503) >= 5
        assert joined.count(200) <= AT_ONCE + WAITING + AT_ONCE
        page.fill("#chat-line textarea", "Hello.")
        page.press("#chat-line textarea", "Enter")
        page.get_by_text("currently busy").first.wait_for()
        stage.engine.open.set()


def test_who_waits_is_told_where(visit):
    """Six ask, four are answered; the two others see their place, and are answered when it is their turn."""
    with playing() as stage, ExitStack() as visitors:
        stage.engine.open.clear()
        pages = [visitors.enter_context(visit(stage.url)) for _ in range(AT_ONCE + 2)]
        for page in pages:
            page.fill("#chat-line textarea", "Hello.")
            page.press("#chat-line textarea", "Enter")
            page.wait_for_timeout(300)
        for place, page in enumerate(pages[AT_ONCE:], start=1):
            page.locator("#chat-note").get_by_text(f"queue: {place}/").wait_for()
        stage.engine.open.set()
        for page in pages:
            page.wait_for_function("() => document.querySelector('#chat-note').textContent.includes('token')")
