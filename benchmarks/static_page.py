"""Benchmark of the page without a server: `python -m benchmarks.static_page URL`, beside llama.cpp where it is given.

URL is a page that `hub.deploy.static` has published. Chromium opens it with an empty profile, and then once more.
PYTHON of `--llama-python` has llama-cpp-python and gguf, and runs the base's GGUF file on as many threads as the page.

- first_visit: seconds from the click that starts the download to the first text of a reply of the base.
- second_visit: seconds from the address to the first text of a reply, with the models in the browser's storage.
- tokens_per_second: of the base's reply in the browser, and over llama.cpp's own.
- megabytes: of the tab with everything that it has started, as the browser counts it.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import finish_benchmark
from benchmarks.serve_parts import Peer
from hub.deploy.browser_check import chromium
from hub.errors import one_line_errors

if TYPE_CHECKING:
    from playwright.sync_api import Page

BARS: dict[str, tuple[str, float]] = {"second_visit": ("<=", 5.0)}
GOAL: dict[str, tuple[str, float]] = {"over_llamacpp": (">=", 0.5)}
LINE = "Where were you last night?"
PROMPT, TOKENS = 31, 64
FIRST_TEXT = "#conversation .bot[data-variant=base] .message-content:not(:empty)"


def visit(page: Page, url: str, first: bool) -> dict[str, float]:
    """Seconds to the base's first text, tokens a second of its reply, and the tab's megabytes with all three models.

    Args:
        page: of a profile that has been there, unless this is the first visit.
        url: of the page, with its options.
        first: whether the models are to be downloaded.
    """
    started = time.perf_counter()
    page.goto(url)
    if first:
        page.click("#download")
        started = time.perf_counter()
    page.click("#tab-chat")
    page.locator("body[data-state=ready] #who input[value=base]").wait_for(state="attached")
    page.check("#who input[value=base]")
    page.fill("#line", LINE)
    page.press("#line", "Enter")
    page.locator(FIRST_TEXT).first.wait_for(state="attached")
    seconds = time.perf_counter() - started
    page.locator("body[data-state=ready] #who label:nth-of-type(3)").wait_for(state="attached")
    note = page.locator(".bot[data-variant=base] .ended").first.inner_text()
    memory: dict[str, Any] = page.evaluate("performance.measureUserAgentSpecificMemory()")
    print(f"{page.locator('#runtime').inner_text()} {note}", flush=True)
    speed = float(note.split("(")[1].split()[0])
    return {"seconds": seconds, "tokens_per_second": speed, "megabytes": memory["bytes"] / 1e6}


def native_speed(python: Path, model: Path, threads: int) -> float:
    """Tokens a second of llama.cpp, the best of three."""
    peer = Peer(python, model, threads)
    job = json.dumps({"prompt": list(range(100, 100 + PROMPT)), "tokens": TOKENS})
    answers = [peer.ask(job) for _ in range(3)]
    peer.close()
    return (TOKENS - 1) / min(answer["seconds"] - answer["first"] for answer in answers)


def measure(url: str, threads: int) -> dict[str, Any]:
    """The figures of a first and a second visit. Raises UserError where there is no Chromium."""
    with chromium() as browser:
        page = browser.new_context().new_page()
        page.set_default_timeout(600_000)
        address = f"{url}?threads={threads}&gpu=0"
        visits = [visit(page, address, first) for first in (True, False)]
    best = max(one["tokens_per_second"] for one in visits)
    return {
        "first_visit": round(visits[0]["seconds"], 2),
        "second_visit": round(visits[1]["seconds"], 2),
        "tokens_per_second": best,
        "megabytes": round(visits[1]["megabytes"]),
        "threads": threads,
    }


def main() -> None:
    """The command line of `python -m benchmarks.static_page`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="of a published page")
    parser.add_argument("--threads", type=int, default=1, help="of the page and of llama.cpp (default: %(default)s)")
    parser.add_argument("--llama-python", type=Path, help="an interpreter that has llama-cpp-python and gguf")
    parser.add_argument("--model", type=Path, help="the base's GGUF file, for llama.cpp")
    given = parser.parse_args()
    with one_line_errors():
        figures, bars = measure(given.url, given.threads), dict(BARS)
        if given.llama_python and given.model:
            native = native_speed(given.llama_python, given.model, given.threads)
            figures |= {"llamacpp": round(native, 1), "over_llamacpp": round(figures["tokens_per_second"] / native, 2)}
            bars |= GOAL
        finish_benchmark(figures, bars)


if __name__ == "__main__":
    main()
