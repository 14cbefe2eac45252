"""Parts of several tabs in a real browser: a scene out of a file, which the browser reads and nobody uploads."""

from __future__ import annotations

import pytest

FOUNTAIN = """Title: Night Train
Author: Nobody

INT. KITCHEN - DAY

A goat.

CUT TO:

EXT. STATION - NIGHT

Rain. /* Nobody
sees this. */ ANNA waits, *alone*.

= She knows.

BEN (O.S.)
(quietly)
You came. [[Does he mean it?]]

ANNA
Where were you
last night?

He does not answer.
"""
DROP = """([name, content, kind]) => {
    const carried = new DataTransfer();
    carried.items.add(new File([content], name, { type: kind }));
    for (const event of ["dragover", "drop"])
        document.body.dispatchEvent(new DragEvent(event, { dataTransfer: carried, bubbles: true, cancelable: true }));
}"""


def fields(page) -> tuple[str, str]:
    tab = page.evaluate("document.body.dataset.tab")
    scene = page.locator("#scene :is(textarea, input)")
    return page.input_value(f"#{tab}-line textarea"), scene.input_value() if scene.count() else ""


def pick(page, name: str, content: bytes, tab: str = "chat") -> None:
    """Open a file by the button, from the keyboard, once the page listens."""
    page.wait_for_function("() => document.body.dataset.tab")
    page.wait_for_timeout(500)  # the line takes the focus once
    with page.expect_file_chooser() as chosen:
        page.locator(f"#{tab}-open").press("Enter")
    chosen.value.set_files({"name": name, "mimeType": "text/plain", "buffer": content})


@pytest.fixture
def visitor(stage, visit):
    with visit(stage.url) as page:
        page.told = lambda words: page.locator("#told").get_by_text(words).wait_for()
        yield page


def test_a_dropped_screenplay_is_a_line_and_a_scene_and_is_sent_to_nobody(visitor, stage):
    asked, sent = len(stage.engine.asked), []
    visitor.on("request", lambda request: sent.append(request.url))
    visitor.evaluate(DROP, ["night.fountain", FOUNTAIN, ""])
    visitor.told("The last line of night.fountain is your line, and what stands before it is the scene.")
    line, scene = fields(visitor)
    assert line == "Where were you last night?"
    assert scene == "EXT. STATION - NIGHT Rain. ANNA waits, alone. BEN: You came."
    assert (sent, len(stage.engine.asked)) == ([], asked), "nothing is sent by itself"
    visitor.press("#chat-line textarea", "Enter")
    visitor.wait_for_function("() => document.querySelector('#chat-note').textContent.includes('token')")
    assert scene in stage.engine.asked[-1][0]["content"]
    assert "upload" not in " ".join(sent)


def test_a_text_file_is_opened_by_keyboard_on_either_tab(visitor):
    for tab in ("chat", "compare"):
        visitor.get_by_role("tab", name=tab.title()).click()
        pick(
            visitor,
            "dream.txt",
            b"A station.\r\n\r\nIt is late.\r\nLETTERS HOME\r\nWho is <b>there</b>?\r\n",
            tab,
        )
        visitor.wait_for_function(f"() => document.querySelector('#{tab}-line textarea').value")
        assert fields(visitor) == ("Who is <b>there</b>?", "A station. It is late. LETTERS HOME")
        visitor.wait_for_function(f"() => document.activeElement.closest('#{tab}-line')")


def test_a_long_scene_keeps_its_heading_and_its_end(visitor):
    before = " ".join(f"word{number}" for number in range(200))
    pick(visitor, "long.txt", f"INT. CELLAR - NIGHT\n\n{before}\n\nANNA\nHush.\n".encode("utf-16"))
    visitor.told("and the end of what stands before it is the scene.")
    line, scene = fields(visitor)
    assert line == "Hush."
    assert 280 < len(scene) <= 300
    assert scene.startswith("INT. CELLAR - NIGHT \u2026 word")
    assert scene.endswith(" word198 word199")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("big.txt", b"x" * 65537, "big.txt has 65 KB; a scene is a text of at most 64 KB."),
        ("photo.png", b"\x89PNG\r\n\x1a\n\x00\x00", "photo.png is not text. Drop a text or Fountain file (UTF-8)."),
        ("latin.txt", b"caf\xe9", "latin.txt is not text."),
        ("zeros.txt", b"a\0b", "zeros.txt is not text."),
        ("empty.txt", b" \n\n", "empty.txt holds no line of dialogue."),
        ("wide.txt", b"w" * 501, "The last line of wide.txt has 501 characters; the models read at most 500."),
    ],
)
def test_what_is_no_scene_is_said_in_one_line(visitor, name, content, reason):
    pick(visitor, name, content)
    visitor.told(reason)
    assert fields(visitor) == ("", "")


def test_nothing_that_was_begun_is_overwritten(visitor):
    visitor.fill("#chat-line textarea", "I have begun")
    visitor.evaluate(DROP, ["a.txt", "One.\nTwo.", "text/plain"])
    visitor.told("Send or clear the line and the scene")
    assert fields(visitor) == ("I have begun", "")
    visitor.fill("#chat-line textarea", "")
    for words in ("Two.", "Three."):  # a second file takes the place of the first
        visitor.evaluate(DROP, ["a.txt", f"One.\n{words}", "text/plain"])
        visitor.wait_for_function("words => document.querySelector('#chat-line textarea').value === words", arg=words)
    visitor.get_by_role("tab", name="About").click()
    visitor.evaluate(DROP, ["a.txt", "One.\nFour.", "text/plain"])
    visitor.wait_for_function("() => document.querySelector('#chat-line textarea').value === 'Four.'")
    assert visitor.get_by_role("tab", selected=True).inner_text() == "Chat"
