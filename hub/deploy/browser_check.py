"""Smoke test of the page without a server: a browser opens it, lets it download its models, and asks them a line."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hub.errors import UserError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NO_PLAYWRIGHT = "the page is tried in Chromium before it is declared good; install playwright: `pip install playwright`"
TRIED_LINE = "Where were you last night?"


@contextmanager
def chromium() -> Iterator[Browser]:
    """A Chromium of this machine without a window.

    Raises:
        UserError: there is none, or no playwright to drive it.
    """
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise UserError(NO_PLAYWRIGHT) from error
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else []
            )
        except Error as error:
            raise UserError(f"no Chromium starts here ({str(error).splitlines()[0]}); install chromium") from error
        try:
            yield browser
        finally:
            browser.close()


def check_in_browser(url: str, minutes: float) -> None:
    """Opens the page in a Chromium with an empty profile; prints what its models answered.

    Raises:
        UserError: there is no browser, or the page does not get as far as three replies.
    """
    with chromium() as browser:
        replies = ask_page(browser, url, minutes)
    print(f"{url} answers: {len(replies)} replies to '{TRIED_LINE}'", flush=True)


def ask_page(browser: Browser, url: str, minutes: float) -> list[str]:
    """The notes under the replies to a line, of a first visit.

    Raises UserError with the page's own words where it does not get that far.
    """
    from playwright.sync_api import Error

    page, said = browser.new_page(), list[str]()
    page.set_default_timeout(60_000 * minutes)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.extend([message.text] if message.type == "error" else []))
    try:
        answer = page.goto(url)
        if answer is None or not answer.ok:
            raise UserError(f"{url} answers {answer.status if answer else 'nothing'}")
        page.locator("body:is([data-state=needs], [data-state=ready], [data-state=failed])").wait_for(state="attached")
        if page.locator("#download").is_visible():
            page.click("#download")
        _until(page, "#who label:nth-of-type(3)")
        page.fill("#line", TRIED_LINE)
        page.press("#line", "Enter")
        _until(page, "#reveal")
        return page.locator("#replies .ended").all_inner_texts()
    except Error as error:
        trouble: Any = page.locator("#trouble").inner_text() if page.locator("#trouble").is_visible() else None
        reason = trouble or (said[-1] if said else str(error).splitlines()[0])
        raise UserError(f"{url} does not answer as it should ({reason})") from error
    finally:
        page.close()


def _until(page: Page, selector: str) -> None:
    """Waits for an element, or for the page to say that it has failed. Raises UserError then."""
    page.locator(f"body[data-state=failed], body[data-state=ready] {selector}").first.wait_for(state="attached")
    if page.locator("body[data-state=failed]").count():
        raise UserError(f"the page says: {page.locator('#trouble').inner_text()}")
