"""What a visitor does on the page, in a browser."""

from __future__ import annotations

import playwright.sync_api
import pytest

WATCH = """selector => {
    window.seen = [];
    const look = () => {
        const all = document.querySelectorAll(selector), last = all[all.length - 1];
        const text = last ? (last.value ?? last.textContent) : "";
        if (text && text !== window.seen[window.seen.length - 1]) window.seen.push(text);
    };
    clearInterval(window.watch);
    window.watch = setInterval(look, 20);
}"""


BOT = ", ".join(
    ["#past .bot .message-content"]
    + [
        f'body[data-who="{who}"] #latest .current[data-variant="{who}"] .message-content'
        for who in ("base", "sft", "dpo")
    ]
)
"""The replies that are shown; those of the other variants are on the page, and hidden."""


def say(page, line: str) -> None:
    """Send a line, and see it on the page; while the last answer is still closing the page takes no new one."""
    page.fill("#chat-line textarea", line)
    for _ in range(20):
        page.press("#chat-line textarea", "Enter")
        page.wait_for_timeout(250)
        if page.input_value("#chat-line textarea") == "":
            return
    pytest.fail(f"the page did not take {line!r}")


def until_text(page, selector: str) -> str:
    said = "selector => document.querySelector(selector)?.textContent.includes(' token')"  # no progress note
    page.wait_for_function(said, arg=selector)
    return page.inner_text(selector)


def running_answer(page, space) -> None:
    """Ask until an answer is under way that has not ended yet: a model may end one at once."""
    for _ in range(5):
        page.click("#chat-new")
        page.wait_for_selector("#conversation .message-content", state="detached")
        say(page, "Tell me everything that you know about the man in the car.")
        try:
            page.wait_for_selector(BOT, timeout=5_000)
        except playwright.sync_api.TimeoutError:  # an answer without a word is not shown
            continue
        if not page.inner_text("#chat-note").strip():
            return
    pytest.fail("five answers ended at their first token")


def compare(page, line: str) -> list[str]:
    """Ask all three, and wait for the ballot (or for the word that all said the same)."""
    page.get_by_role("tab", name="Compare").click()
    page.fill("#compare-line textarea", line)
    page.click("#compare-send")
    page.wait_for_function(
        "() => document.querySelector('#standing')?.textContent.match(/best next line|said the same/)", timeout=60_000
    )
    return shown(page)


def in_one_line(reply: str) -> str:
    """As a ballot shows a reply, which may have come in several lines."""
    return " ".join(reply.split())


def shown(page) -> list[str]:
    return page.locator(".variant .message-content").all_inner_texts()


def ballot(page, line: str = "You said you would never come back.") -> list[str]:
    """A comparison that can be voted on: replies of a word or two may all be the same by chance."""
    for _ in range(5):
        answers = compare(page, line)
        if len(answers) > 1:
            page.wait_for_selector("#ballot", state="visible")
            return answers
    pytest.fail("never two different answers")
