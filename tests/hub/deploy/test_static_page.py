"""The page without a server as a visitor has it: three replies in a browser, offline after that, for every reader."""

import re

import pytest

from tests.support.stage import npm
from tests.support.static_page import ask, until

LINE = "Where were you last night?"


def test_three_replies_without_names_until_one_is_chosen(ready):
    page = ready()
    assert page.locator("#runtime").inner_text().startswith("Runs on ")
    ask(page, LINE)
    assert page.locator("#replies .cue").all_inner_texts() == ["A", "B", "C"]
    assert all("token" in note for note in page.locator("#replies .ended").all_inner_texts())
    page.click("text=B is best")
    names = page.locator("#replies .cue").all_inner_texts()
    assert sorted(name.split(": ")[1].lower() for name in names) == ["base", "dpo", "fine-tuned"]
    assert page.locator("#told").inner_text() == "", "what stands on the page is not laid over it"
    assert page.locator("#read").text_content().startswith("A: ")
    assert "in this browser alone" in page.locator("#verdict").inner_text()
    address = page.locator("#verdict a").get_attribute("href")
    assert "/datasets/static/repartee-votes/discussions/new?title=" in address
    assert "Where+were+you+last+night%3F" in address


def test_chat_shows_one_at_a_time_and_goes_on(ready):
    page = ready()
    page.keyboard.press("Tab")  # into the page
    page.focus("#tab-compare")
    page.keyboard.press("ArrowRight")
    assert page.locator("#chat").is_visible()
    assert not page.locator("#compare").is_visible()
    ask(page, LINE)
    assert page.locator("#conversation .bot:visible").count() == 1
    page.check("#who input[value=base]")
    assert page.locator("#conversation .bot:visible .cue").inner_text().lower() == "base"
    ask(page, "And then?")
    assert page.locator("#conversation .user").count() == 2
    page.click("#anew")
    assert page.locator("#conversation .turn").count() == 0


def test_a_seed_repeats_an_answer_and_a_bad_one_is_told(ready):
    page = ready()
    page.click("#sampling summary")
    page.fill("#seed", "seven")
    page.fill("#line", LINE)
    page.press("#line", "Enter")
    assert "whole number" in page.locator("#told").inner_text()
    page.click("#tab-chat")
    page.fill("#seed", "7")
    said = []
    for _ in range(2):
        ask(page, LINE)
        said.append(page.locator("#conversation .exchange").last.locator(".message-content").all_inner_texts())
        page.click("#anew")
    assert said[0] == said[1]


def test_bytes_that_are_no_text_do_not_end_a_reply(ready):
    """Random weights say byte tokens out of their place often: more than half of ten such lines failed in wllama."""
    page, said, notes = ready(), [], []
    for number in range(10):
        ask(page, f"{LINE} {number}")
        said += page.locator("#replies .message-content").all_inner_texts()
        notes += page.locator("#replies .ended").all_inner_texts()
    assert len(notes) == 30
    assert all("token" in note for note in notes), "each ended, none waits for ever"
    assert any("\ufffd" in reply for reply in said)


def test_it_opens_without_a_network_once_it_has_been_opened(ready):
    page = ready()
    assert page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.context.set_offline(True)
    page.reload()
    until(page, "ready", "#who label:nth-of-type(3)")
    ask(page, LINE)
    assert page.locator("#replies .variant").count() == 3


def test_the_models_are_deleted_again(ready):
    page = ready()
    page.click("#about summary")
    page.click("#delete")
    page.locator("#delete").wait_for(state="hidden")
    page.reload()
    until(page, "needs")
    assert re.fullmatch(r"Download the models \(\d+ MB\)", page.locator("#download").inner_text())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing(ready, scheme, width):
    axe = npm("axe-core", "axe-core/axe.min.js").read_text()
    page = ready(width=width, color_scheme=scheme)
    page.evaluate(axe)

    def clean(where: str) -> None:
        found = page.evaluate("axe.run()")["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], where
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), where

    page.click("#sampling summary")
    page.click("#about summary")
    clean("at the start")
    ask(page, LINE)
    clean("with replies")
    page.click("#reveal")
    page.evaluate("Promise.all(document.getAnimations().map((one) => one.finished)).then(() => true)")  # turned around
    clean("with names")
    page.click("#tab-chat")
    ask(page, LINE)
    clean("in a conversation")
