"""The page for programs: typed endpoints from Python's client and JavaScript's; and for screen readers: axe-core."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from space import about_tab
from tests.support.stage import npm, playing


@pytest.fixture(scope="module")
def stage():
    with playing() as stage:
        yield stage


def test_the_endpoints_are_named_typed_and_documented(stage):
    from gradio_client import Client

    api = Client(stage.url, verbose=False).view_api(print_info=False, return_format="dict")["named_endpoints"]
    assert set(api) == {"/chat", "/compare"}
    typed = {
        name: [(part["parameter_name"], part["python_type"]["type"], part["parameter_has_default"]) for part in parts]
        for name, parts in ((name, endpoint["parameters"]) for name, endpoint in api.items())
    }
    knobs = [("temperature", "float", True), ("top_k", "int", True), ("top_p", "float", True), ("seed", "int", True)]
    knobs.append(("scene", "str", True))
    assert typed["/compare"] == [("message", "str", False), *knobs]
    assert [name for name, _, _ in typed["/chat"]] == ["message", "who", *(name for name, _, _ in knobs)]
    assert [part["label"] for part in api["/compare"]["returns"]][:3] == [
        "Base: the reply", "Fine-tuned: the reply", "DPO: the reply",
    ]  # fmt: skip
    for name in api:
        assert len(api[name]["description"]) > 40


def test_defaults_are_enough(stage):
    from gradio_client import Client

    client = Client(stage.url, verbose=False)
    assert client.predict("Who?", api_name="/compare")[:3] == ("Who?", "sft Who?", "aWho?")
    messages, _, note = client.predict("Who?", "sft", api_name="/chat")
    assert messages[1]["content"][0]["text"] == "<small>Fine-tuned</small>\nsft Who?"
    assert "tokens" in note


def examples(stage, language: str) -> str:
    """The example that the About tab shows, with the address of this page in it."""
    [text] = re.findall(rf"```{language}\n(.*?)```", about_tab.PROGRAMS, re.DOTALL)
    return text.replace("ADDRESS OF THIS PAGE", stage.url)


def test_the_example_for_python_runs(stage):
    code = examples(stage, "python") + "\nprint(replies)\nprint(conversation[-1]['content'][0]['text'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    line = "Where were you last night?"
    assert str([line, f"sft {line}", f"a{line}"]) in done.stdout
    assert done.stdout.endswith(f"<small>DPO</small>\na{line}\n")


def test_the_example_for_javascript_runs(stage):
    script = npm("@gradio/client", "@gradio/client/package.json").parents[3] / "repartee.mjs"
    script.write_text(examples(stage, "javascript") + "\nprocess.exit(0);\n")
    done = subprocess.run(["node", script, stage.url], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "sft Where were you last night?" in done.stdout
    assert "<small>DPO</small>" in done.stdout


def test_the_endpoints_are_tools_where_the_settings_want_it(stage):
    pytest.importorskip("mcp", reason="needs gradio's extra mcp: pip install 'gradio[mcp]'")
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def use(url: str) -> tuple[set[str], str]:
        async with streamablehttp_client(url) as (reading, writing, _), ClientSession(reading, writing) as session:
            await session.initialize()
            names = {tool.name for tool in (await session.list_tools()).tools}
            answer = await session.call_tool(next(name for name in names if "compare" in name), {"message": "Who?"})
            return names, str(answer.content)

    with playing(mcp=True) as open_stage, ThreadPoolExecutor(1) as thread:  # the browser's loop may run in this one
        names, said = thread.submit(asyncio.run, use(f"{open_stage.url}gradio_api/mcp/")).result()
    assert {name.rpartition("_")[2] for name in names} == {"chat", "compare"}
    assert "sft Who?" in said
    with stage.client() as client:
        assert client.post("gradio_api/mcp/", json={}).status_code == 404


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_serious(stage, visit, scheme, width):
    axe = npm("axe-core", "axe-core/axe.min.js").read_text()
    found = {}
    with visit(stage.url, color_scheme=scheme, viewport={"width": width, "height": 800}) as page:
        page.add_script_tag(content=axe)
        page.fill("#chat-line textarea", "Who?")
        page.press("#chat-line textarea", "Enter")
        page.wait_for_function("() => document.querySelector('#chat-note').textContent.includes('token')")
        page.get_by_role("button", name="Sampling").click()
        for tab in ("Chat", "Compare", "Results", "About"):
            page.get_by_role("tab", name=tab).click()
            if tab == "Compare":
                page.fill("#compare-line textarea", "Who?")
                page.click("#compare-send")
                page.wait_for_selector("#ballot", state="visible")
            page.wait_for_timeout(400)
            for one in page.evaluate("axe.run()")["violations"]:
                if one["impact"] in ("serious", "critical"):
                    found[f"{tab}: {one['id']}"] = [(node["html"], node["failureSummary"]) for node in one["nodes"]]
    assert not found, json.dumps(found, indent=1)


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
