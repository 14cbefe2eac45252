"""The real page in a real browser: the controls that all tabs share, what it tells, its endpoints, its sizes.

`REPARTEE_SCREENSHOTS=docs python -m pytest tests/space -k screenshots` takes the pictures again; with REPARTEE_URL they
are taken of a Space that is already running, with models that are worth a picture.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.browser import BOT, ballot, say, until_text


def test_a_seed_repeats_an_answer_and_the_defaults_come_back(page):
    page.get_by_role("button", name="Sampling").click()
    page.fill("#seed input", "7")
    page.press("#seed input", "Tab")
    answers = []
    for again in (False, True):
        if again:
            page.click("#chat-new")
            page.wait_for_selector(BOT, state="detached")
        say(page, "Where were you last night?")
        until_text(page, "#chat-note")
        answers.append(page.inner_text(BOT))
    assert answers[0] == answers[1]
    slider = page.get_by_label("number input for Temperature")
    slider.fill("1.5")
    slider.press("Enter")
    page.click("#sampling-reset")
    page.wait_for_function("() => document.querySelector('#seed input').value === ''")
    assert slider.input_value() == "0.9"


def test_who_types_before_the_page_is_whole_keeps_it(browser, space):
    """The page's last handler, which fills in what a link asks for, is held back until the visitor has typed."""
    asked, held = "repartee.opened()", "new Promise(done => window.go = () => done(repartee.opened()))"
    with closing(browser.new_context()) as context:
        page = context.new_page()
        page.route(space.url, lambda route: rewritten(route, asked, held))
        page.goto(space.url)
        page.wait_for_function("() => window.go !== undefined")
        page.get_by_role("button", name="Sampling").click()
        page.fill("#seed input", "7")
        page.evaluate("window.go()")
        page.wait_for_timeout(1_000)
        assert page.input_value("#seed input") == "7"


def rewritten(route, old: str, new: str) -> None:
    answer = route.fetch()
    text = answer.text()
    assert old in text
    route.fulfill(response=answer, body=text.replace(old, new))


def test_results_and_about_say_what_there_is(page, family):
    page.get_by_role("tab", name="Results").click()
    page.get_by_text("Measured on other commits than those that answer here").wait_for()
    assert "48.7 (45.0 to 53.0)" in page.locator("#results table").inner_text()
    assert page.locator("#figure .panel").count() == 8
    assert "48.7 (45.0 to 53.0)" in page.locator("#figure").inner_text()
    assert not page.locator("#sampling").is_visible(), "it does nothing here"
    page.get_by_role("tab", name="About").click()
    about = page.locator("#about")
    about.get_by_text("What it is not").wait_for()
    assert f"{family}/repartee-starter-dpo" in about.inner_text()
    assert page.locator("#about a").first.get_attribute("href").startswith("http")


def test_results_say_what_visitors_chose(stage, visit):
    with visit(stage.url) as page:
        page.get_by_role("tab", name="Results").click()
        page.locator("#chosen").get_by_text("No vote on these models yet").wait_for()
        page.get_by_role("tab", name="Compare").click()
        page.fill("#compare-line textarea", "Who?")
        page.click("#compare-send")
        page.get_by_role("button", name="A is best").click()
        page.get_by_text("Thank you.").wait_for()
        page.get_by_role("tab", name="Results").click()
        page.locator("#chosen").get_by_text("1 vote so far").wait_for()
        page.locator("#chosen").get_by_text("1 of the 50 raters that Bradley-Terry takes").wait_for()


@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_fits_its_window(visit, space, width):
    with visit(space.url, viewport={"width": width, "height": 800}) as page:
        for tab in ("Compare", "Results", "About", "Chat"):
            page.get_by_role("tab", name=tab).click()
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_named_endpoints(space):
    from gradio_client import Client
    from gradio_client.exceptions import AppError

    client = Client(space.url, verbose=False)
    assert set(client.view_api(print_info=False, return_format="dict")["named_endpoints"]) == {"/chat", "/compare"}
    answer = client.predict("Who are you?", variant="sft", seed=7, api_name="/chat")
    assert set(answer) == {"reply", "ended", "tokens", "seconds"}
    assert 1 <= answer["tokens"] <= 64
    assert client.predict("Who are you?", variant="sft", seed=7, api_name="/chat")["reply"] == answer["reply"]
    greedy = [client.predict("Who are you?", temperature=0, api_name="/compare") for _ in range(2)]
    replies = [{variant: one["reply"] for variant, one in compared.items()} for compared in greedy]
    assert replies[0] == replies[1]
    assert list(replies[0]) == ["base", "sft", "dpo"]
    assert len(set(replies[0].values())) > 1
    for forged in (("x" * 501, "sft", 0.9), ("Who?", "system", 0.9), ("Who?", "sft", 99)):
        with pytest.raises(AppError):
            client.predict(*forged, 25, 0.95, api_name="/chat")


@pytest.mark.skipif("REPARTEE_SCREENSHOTS" not in os.environ, reason="REPARTEE_SCREENSHOTS=FOLDER takes the pictures")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_screenshots(visit, request, width, scheme):
    url = os.environ.get("REPARTEE_URL") or request.getfixturevalue("space").url
    folder = Path(os.environ["REPARTEE_SCREENSHOTS"])
    folder.mkdir(parents=True, exist_ok=True)
    viewport = {"width": width, "height": 860}
    with visit(url, viewport=viewport, color_scheme=scheme) as page:
        lines = {"Fine-tuned": "You said you would never come back.", "DPO": "Where were you last night?"}
        for variant, line in lines.items():
            page.get_by_label(variant, exact=True).check()
            say(page, line)
            until_text(page, "#chat-note")
        page.screenshot(path=folder / f"chat-{scheme}-{width}.png", full_page=True)
        page.get_by_role("button", name="Sampling").click()
        page.wait_for_timeout(300)
        page.screenshot(path=folder / f"sampling-{scheme}-{width}.png", full_page=True)
        page.get_by_role("button", name="Sampling").click()
        ballot(page)
        page.screenshot(path=folder / f"ballot-{scheme}-{width}.png", full_page=True)
        page.get_by_role("button", name="B is best").click()
        page.get_by_text("Thank you.").wait_for()
        page.wait_for_timeout(300)
        page.screenshot(path=folder / f"compare-{scheme}-{width}.png", full_page=True)
        for tab in ("Results", "About"):
            page.get_by_role("tab", name=tab).click()
            page.wait_for_timeout(300)
            page.screenshot(path=folder / f"{tab.lower()}-{scheme}-{width}.png", full_page=True)
