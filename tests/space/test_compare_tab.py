"""The Compare tab in a real browser: three columns without names, one batch, and the ballot."""

from __future__ import annotations

from dataclasses import fields

import pytest

from hub.votes import Vote
from tests.support.browser import WATCH, ballot, compare, in_one_line, shown, until_text
from tests.support.stage import playing


def test_compare_streams_three_answers_in_one_batch_without_names(visit, space):
    for _ in range(5):
        asked = space.said("3")
        with visit(space.url) as page:
            page.evaluate(WATCH, "#compare-A .message-content")
            answers = compare(page, "You said you would never come back.")
            seen = page.evaluate("window.seen")
            told = page.inner_text("body")
        assert space.said("3") == asked + 1, "three variants are one batch"
        if len(set(answers)) == 3 and len(seen) >= 2:
            assert "A: " not in told
            return
    pytest.fail(f"never three different answers that stream: {answers}")


def test_a_vote_is_blind_and_is_kept_at_once(visit, space):
    with visit(space.url) as page:
        ballot(page)
        assert page.locator(".variant .cue").all_inner_texts()[0] == "A"
        assert not any(name in page.inner_text(".variant.block >> nth=0") for name in ("Base", "Fine-tuned", "DPO"))
        page.get_by_role("button", name="A is best").click()
        page.wait_for_selector("#ballot", state="hidden")
        page.get_by_text("Thank you.").wait_for()
        told = page.inner_text("#standing")
        assert "so far" in told
        assert "% to " in told
        above = page.locator(".variant .cue").all_inner_texts()
        assert sorted(name.lower() for text in above for name in text.split(": ")[-1].split(", ")) == [
            "base", "dpo", "fine-tuned",
        ]  # fmt: skip
        until_text(page, "#compare-A .ended")  # how it ended would have given it away before
        answers = shown(page)  # now, for the ballot may be drawn before the last words are
    row = next(row for row in space.kept() if answers[0] in map(in_one_line, row["replies"].values()))
    assert (row["choice"], row["chosen"]) == ("1", row["shown"][0])
    assert row["prompt"][-1] == {"role": "user", "content": "You said you would never come back."}
    assert list(row) == [field.name for field in fields(Vote)]
    assert row["telltale"] == [] or set(row["telltale"]) <= set(row["replies"])
    assert len(row["session"]) == len(row["address"]) == 16
    assert all(len(sha) == 40 for sha in row["revisions"].values())


def test_names_are_shown_without_a_vote_and_then_there_is_none(page):
    ballot(page)
    before = page.inner_text("#standing")
    page.click("#reveal")
    page.wait_for_selector("#ballot", state="hidden")
    assert "Thank you" not in page.inner_text("#standing")
    assert before != page.inner_text("#standing")
    until_text(page, "#compare-B .ended")


def test_a_page_of_two_variants_has_two_columns_and_says_so(visit):
    with playing(variants=("base", "sft")) as stage, visit(stage.url) as page:
        assert "before training and after fine-tuning on film dialogue." in page.inner_text("#masthead")
        assert page.locator("#who label").all_inner_texts() == ["Base", "Fine-tuned"]
        page.get_by_role("tab", name="Compare").click()
        page.fill("#compare-line textarea", "Who?")
        page.get_by_role("button", name="Ask both").click()
        page.wait_for_selector("#ballot", state="visible")
        assert page.locator(".variant.block:visible").count() == 2
        offered = page.locator("#replies button:visible, #ballot button").all_inner_texts()
        assert offered == ["A is best", "B is best", "Tie", "All bad", "Just show the names"]
        page.get_by_role("button", name="B is best").click()
        page.get_by_text("Thank you.").wait_for()
        (vote,) = stage.kept
        assert set(vote.replies) == {"base", "sft"}
        page.get_by_role("tab", name="About").click()
        page.get_by_text("No DPO adapter of this family is published yet").wait_for()
