"""What a stranger may try: forged votes, text that wants to be more, and a look into the log."""

from __future__ import annotations

import os
import secrets

import pytest

from tests.support import injections
from tests.support.stage import ask

FORGED = 500 if os.environ.get("REPARTEE_PROOF") else 50
HARMLESS = ".md, .prose, small, span, div, p, br"  # what Gradio and the cue are made of
KNOBS = [0.9, 25, 0.95]


# ---- votes


def test_forged_votes_do_not_count(stage):
    """By raw HTTP: for an unknown ballot, for another session's, a second time, and for what is not on the ballot."""
    vote, blind = stage.index("vote"), stage.index("blind")
    with stage.client() as client:

        def send(session: str | None, button: str, id: object) -> int:
            body = {"fn_index": vote, "data": [button, id], "session_hash": session}
            return client.post("gradio_api/run/predict", json=body).status_code

        said = ask(client, blind, ["Who?", *KNOBS, ""], "owner")
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
            shown = [one.text_content() for one in page.locator("#conversation .message-content").all()]
            said = ["", "sft ", "a"]  # what each variant says before it; "b" would be a fourth's
            assert shown == [as_html_has_it(typed), *(as_html_has_it(before + typed) for before in said)], line
            assert page.locator("#conversation .message-content *").count() == 0, line
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
                "line => document.querySelector('#compare-A .message-content')?.textContent.includes(line)", arg=line
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
