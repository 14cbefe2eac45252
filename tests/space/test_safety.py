"""What a stranger may try: forged votes, text that wants to be more, files, floods, and a look into the log."""

from __future__ import annotations

import os
import secrets
from contextlib import ExitStack

import injections
import pytest
from stage import ask, playing

from space.page import AT_ONCE, WAITING
from space.request_guard import TokenBucket

FORGED = 500 if os.environ.get("REPARTEE_PROOF") else 50
HARMLESS = ".md, .prose, small, span, div, p, br"  # what Gradio and the cue are made of
KNOBS = [0.9, 25, 0.95]


@pytest.fixture(scope="module")
def stage():
    with playing() as stage:
        yield stage


# ---- votes


def test_forged_votes_do_not_count(stage):
    """By raw HTTP: for an unknown ballot, for another session's, a second time, and for what is not on the ballot."""
    vote, blind = stage.index("vote"), stage.index("blind")
    with stage.client() as client:

        def send(session: str | None, button: str, id: object) -> int:
            body = {"fn_index": vote, "data": [button, id], "session_hash": session}
            return client.post("gradio_api/run/predict", json=body).status_code

        said = ask(client, blind, ["Who?", *KNOBS, None, ""], "owner")
        [id] = stage.ballots._open
        assert id not in str(said), "the id of a ballot never leaves the server"
        before, sent = len(stage.kept), 0
        while sent < FORGED:
            unknown = secrets.token_hex(16)
            tries = [("stranger", "A is best", id), ("stranger", "A is best", unknown), (None, "Tie", id)]
            tries += [(secrets.token_hex(5), "B is best", id), ("owner", "D is best", id), ("owner", "", id)]
            for forged in tries:
                assert send(*forged) != 200
                sent += 1
        assert len(stage.kept) == before
        assert send("owner", "A is best", None) == 200, "the ballot was still good"
        assert [send("owner", "A is best", given) for given in (id, None, unknown)] == [500] * 3
    assert len(stage.kept) == before + 1


# ---- text


def test_whatever_is_typed_is_shown_as_text(stage, visit):
    """The engine says it back, so that each string is seen as a visitor's and as a model's."""
    assert len(injections.ALL) >= 60
    with visit(stage.url) as page:
        for line in injections.ALL:
            page.fill("#chat-line textarea", line)
            page.press("#chat-line textarea", "Enter")
            page.wait_for_function("() => document.querySelector('#chat-note').textContent.includes('token')")
            typed = stage.engine.asked[-1][-1]["content"]
            shown = [bubble.text_content() for bubble in page.locator("#conversation .message-content").all()]
            assert [as_html_has_it(typed), "DPO\n" + as_html_has_it("a" + typed)] == [
                text.strip("\n") for text in shown
            ], line
            assert (
                page.locator("#conversation .message-content :not(.md, .prose, small, span, div, p, br)").count() == 0
            ), line
            page.click("#chat-new")
            page.wait_for_selector("#conversation .message-content", state="detached")
        assert page.evaluate("window.broken") is None
        assert page.title() == "Repartee"


def as_html_has_it(text: str) -> str:
    return text.strip().replace("\x00", "")  # which Chromium leaves out


def test_the_columns_show_text_too(stage, visit):
    with visit(stage.url) as page:
        page.get_by_role("tab", name="Compare").click()
        for line in ("<img src=x onerror='window.broken=1'>", f"![a]({injections.HOST}/a.png) $$x$$ **b**"):
            page.fill("#compare-line textarea", line)
            page.click("#compare-send")
            page.wait_for_function(
                "line => document.querySelector('#compare-A textarea').value.includes(line)", arg=line
            )
            page.wait_for_selector("#ballot", state="visible")
        assert page.evaluate("window.broken") is None


def test_no_text_becomes_a_control_token(starter):
    from transformers import AutoTokenizer

    from chat.template import build_prompt, configure_tokenizer, encode_prompt

    tokenizer = configure_tokenizer(AutoTokenizer.from_pretrained(starter))
    special = set(tokenizer.all_special_ids) | set(tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"]))
    for line in injections.ALL:
        ids = encode_prompt(tokenizer, build_prompt([{"role": "user", "content": line}], 1))
        assert sum(id in special for id in ids) == 5, line  # system, user, assistant begin; two of them end


def test_a_megabyte_is_refused_with_a_clear_line(stage, visit):
    with visit(stage.url) as page:
        page.evaluate("""() => {
            const box = document.querySelector("#chat-line textarea");
            box.removeAttribute("maxlength");
            box.value = "x".repeat(1 << 20);
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


# ---- the door


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
    with playing() as stage, visit(stage.url) as page:
        chat = stage.index("chat")
        stage.engine.open.clear()
        with stage.client() as client:
            joined = [
                client.post(
                    "gradio_api/queue/join",
                    json={"fn_index": chat, "data": ["Hello.", "dpo", *KNOBS, None, None, ""], "session_hash": f"s{n}"},
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


# ---- what is left of it


def test_the_log_holds_no_words_of_a_visitor(space):
    from gradio_client import Client
    from gradio_client.exceptions import AppError

    canary = "walrus-" + secrets.token_hex(4)
    client = Client(space.url, verbose=False)
    client.predict(canary, "dpo", *KNOBS, api_name="/chat")
    client.predict(canary, *KNOBS, api_name="/compare")
    for forged in ((canary * 40, "dpo", 0.9), (canary, "dpo", 99), (canary, canary, 0.9)):
        with pytest.raises(AppError):
            client.predict(*forged, 25, 0.95, api_name="/chat")
    assert canary not in space.log.read_text()
