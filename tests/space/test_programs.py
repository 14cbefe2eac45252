"""The page for programs: typed endpoints from Python's client and JavaScript's; and for screen readers: axe-core."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import subprocess
import sys

import pytest

from chat.engine.threads import run_in_own_thread
from space import about_tab
from tests.support.stage import npm, playing


def test_the_endpoints_are_named_typed_and_documented(stage):
    from gradio_client import Client

    api = Client(stage.url, verbose=False).view_api(print_info=False, return_format="dict")["named_endpoints"]
    assert set(api) == {"/chat", "/compare"}
    typed = {
        name: [(part["parameter_name"], part["python_type"]["type"], part["parameter_has_default"]) for part in parts]
        for name, parts in ((name, endpoint["parameters"]) for name, endpoint in api.items())
    }
    knobs = [("temperature", "float", True), ("top_k", "int", True), ("top_p", "float", True)]
    knobs += [("seed", "None | int", True), ("scene", "str", True)]
    assert typed["/compare"] == [("line", "str", False), *knobs]
    assert typed["/chat"] == [("line", "str", False), ("variant", "str", True), *knobs]
    for name in api:
        assert len(api[name]["description"]) > 40


def test_defaults_are_enough(stage):
    from gradio_client import Client

    client = Client(stage.url, verbose=False)
    compared = client.predict("Who?", api_name="/compare")
    assert {variant: one["reply"] for variant, one in compared.items()} == {
        "base": "Who?", "sft": "sft Who?", "dpo": "aWho?",
    }  # fmt: skip
    answer = client.predict("<b>Who?", variant="sft", api_name="/chat")
    assert {**answer, "seconds": 0} == {"reply": "sft <b>Who?", "ended": True, "tokens": 3, "seconds": 0}


def examples(stage, language: str) -> str:
    """The example that the About tab shows, with the address of this page in it."""
    [text] = re.findall(rf"```{language}\n(.*?)```", about_tab.PROGRAMS, re.DOTALL)
    return text.replace("ADDRESS OF THIS PAGE", stage.url)


def test_the_example_for_python_runs(stage):
    code = examples(stage, "python") + "\nprint([one['reply'] for one in answers.values()])\nprint(answer['reply'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    line = "Where were you last night?"
    assert str([line, f"sft {line}", f"a{line}"]) in done.stdout
    assert done.stdout.endswith(f"a{line}\n")


def test_the_example_for_javascript_runs(stage):
    script = npm("@gradio/client", "@gradio/client/package.json").parents[3] / "repartee.mjs"
    script.write_text(examples(stage, "javascript") + "\nprocess.exit(0);\n")
    done = subprocess.run(["node", script, stage.url], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "sft Where were you last night?" in done.stdout
    assert done.stdout.endswith("aWhere were you last night?\n")


def test_the_endpoints_are_tools_where_the_settings_want_it(stage):
    pytest.importorskip("mcp", reason="needs gradio's extra mcp: pip install 'gradio[mcp]'")
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def use(url: str) -> tuple[set[str], list[str]]:
        async with streamablehttp_client(url) as (reading, writing, _), ClientSession(reading, writing) as session:
            await session.initialize()
            names = {tool.name for tool in (await session.list_tools()).tools}
            said = []
            for tool, sent in (("chat", {"variant": "sft"}), ("compare", {}), ("chat", {"temperature": -5})):
                [name] = [name for name in names if name.endswith(tool)]
                said.append(str((await session.call_tool(name, {"line": "Who?", **sent})).content))
            return names, said

    with playing(mcp=True) as open_stage:  # the browser's loop may run in this thread
        names, said = run_in_own_thread(asyncio.run, use(f"{open_stage.url}gradio_api/mcp/"))
    assert {name.rpartition("_")[2] for name in names} == {"chat", "compare"}
    assert ["sft Who?" in one for one in said] == [True, True, False]
    assert "aWho?" in said[1]
    assert "temperature is -5; it takes 0 (greedy) or 0.01 to 5" in said[2]
    with stage.client() as client:
        assert client.post("gradio_api/mcp/", json={}).status_code == 404


SIGN = "contains only non-text characters"
"""What axe says of Gradio's triangles, whose contrast it does not measure."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing(stage, visit, scheme, width):
    axe = npm("axe-core", "axe-core/axe.min.js").read_text()
    found = {}
    with visit(
        stage.url, color_scheme=scheme, viewport={"width": width, "height": 800}, reduced_motion="reduce"
    ) as page:
        page.add_script_tag(content=axe)

        def look(state: str) -> None:
            page.wait_for_timeout(400)
            told = page.evaluate("axe.run()")
            for one in [*told["violations"], *told["incomplete"]]:
                nodes = [node for node in one["nodes"] if SIGN not in node["failureSummary"]]
                if nodes:
                    found[f"{state}: {one['id']}"] = [(node["html"], node["failureSummary"]) for node in nodes]

        look("first screen")
        page.fill("#chat-line textarea", "Who?")
        page.press("#chat-line textarea", "Enter")
        page.wait_for_function("() => document.querySelector('#chat-note').textContent.includes('token')")
        page.locator("#latest .current [data-act=again]:visible").click()
        page.locator(".steps:visible").wait_for()
        page.get_by_role("button", name="Sampling").click()
        look("Chat")
        page.get_by_role("tab", name="Compare").click()
        page.get_by_role("button", name="Delete a vote").click()
        page.fill("#compare-line textarea", "Who?")
        page.click("#compare-send")
        page.wait_for_selector("#ballot", state="visible")
        look("ballot")
        page.get_by_role("button", name="A is best").click()
        page.get_by_text("Thank you.").wait_for()
        look("vote")
        for tab in ("Results", "About"):
            page.get_by_role("tab", name=tab).click()
            look(tab)
    assert not found, json.dumps(found, indent=1)


def test_everything_is_done_by_keyboard_and_focus_is_never_lost(stage, visit):
    with visit(stage.url) as page:
        page.focus("#chat-line textarea")
        assert "none" not in page.locator("#chat-line textarea").evaluate("one => getComputedStyle(one).outlineStyle")
        page.get_by_role("tab", name="Chat").focus()
        for key, name in (("ArrowRight", "Compare"), ("End", "About"), ("ArrowRight", "Chat"), ("ArrowLeft", "About"),
                          ("Home", "Chat"), ("ArrowRight", "Compare")):  # fmt: skip
            page.keyboard.press(key)
            assert page.evaluate("document.activeElement.textContent.trim()") == name
            assert page.get_by_role("tab", selected=True).inner_text().strip() == name
        page.focus("#compare-line textarea")
        page.keyboard.type("Who is there?")
        page.keyboard.press("Enter")
        page.wait_for_selector("#ballot", state="visible")
        page.wait_for_function("() => document.activeElement.id === 'replies'")
        assert page.get_attribute("#compare-A", "aria-live") == "polite"
        page.wait_for_function("() => document.querySelector('#compare-A').getAttribute('aria-busy') === 'false'")
        page.keyboard.press("2")
        page.get_by_text("Thank you.").wait_for()
        page.wait_for_function("() => document.activeElement.id === 'compare-next'")
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.querySelector('#compare-line textarea').value !== 'Who is there?'")
        page.wait_for_selector("#ballot", state="visible")
        page.keyboard.press("t")
        page.wait_for_function("() => /votes so far/.test(document.querySelector('#standing').textContent)")
        assert [vote.choice for vote in stage.kept[-2:]] == ["2", "tie"]
        names = page.locator("#who input").evaluate_all("all => all.map(one => one.name)")
        assert len(set(names)) == 1, "one group of radios, through which arrow keys go"
        levels = page.evaluate(
            "() => [...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(one => Number(one.tagName[1]))"
        )
        assert levels[0] == 1
        assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels)), levels


def test_who_wants_less_motion_gets_none(stage, visit):
    moving = """() => [...document.querySelectorAll("*")].filter(one => {
        const style = getComputedStyle(one);
        return style.animationName !== "none" || parseFloat(style.transitionDuration) > 0;
    }).length"""
    with visit(stage.url, reduced_motion="reduce") as page:
        page.fill("#chat-line textarea", "Who?")
        page.press("#chat-line textarea", "Enter")
        page.wait_for_function("() => document.querySelector('#chat-note').textContent.includes('token')")
        assert page.evaluate(moving) == 0
