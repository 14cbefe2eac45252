"""The page: four tabs, declared in the order in which they are drawn, and how it is launched."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import gradio as gr
from starlette.middleware import Middleware

from hub.names import Names
from space.about_tab import about_tab, results_tab
from space.chat_handlers import MAX_CHARACTERS, MAX_SCENE, MAX_SEED, ChatHandlers
from space.chat_tab import FOCUS_ON_DESKTOPS, chat_tab
from space.compare_handlers import CompareHandlers
from space.compare_tab import compare_tab
from space.components import QUIET, draw_sampling_controls, make_sampling_controls
from space.endpoints import Endpoints, add_endpoints
from space.log_filter import keep_words_out
from space.queue_share import share_queue
from space.request_guard import RequestGuard, TokenBucket
from space.results import ModelFacts, PublishedResults
from space.slow_connections import limit_slow_connections
from space.theme import theme

AT_ONCE = 4  # which the engine answers in one batch where it can
WAITING = 32  # visitors in the queue before the page says that it is busy
MAX_THREADS = 128  # each answer that streams takes one
PAGE_SCRIPTS = ("dom.js", "gradio_gaps.js", "scene_file.js", "page.js")  # in the order in which they need one another
HEADER = """
<header>
  <h1>Repartee</h1>
  <p>Say a line of film dialogue and a small language model answers with the next one. Hear the same model %s.</p>
</header>
"""
HEARD = {
    2: "before training and after fine-tuning on film dialogue",
    3: "before training, after fine-tuning on film dialogue, and after learning which of two replies is the better one "
    "(DPO)",
}
"""When the model is heard, by the number of variants that answer."""


def build_page(
    handlers: ChatHandlers,
    comparing: CompareHandlers,
    models: ModelFacts,
    names: Names,
    results: PublishedResults,
    at_once: int = AT_ONCE,
) -> gr.Blocks:
    """The whole page, ready to launch; reads like the screen it draws.

    Args:
        handlers: of the Chat tab.
        comparing: the handlers of the Compare tab.
        models: those that answer, for the footer and the About tab.
        names: of all repositories of this family.
        results: the published evaluation.
        at_once: requests handed to the engine at one time; who comes then waits in the queue, and is told where.
    """
    controls = make_sampling_controls()
    with gr.Blocks(title="Repartee", analytics_enabled=False) as page:
        gr.HTML(HEADER % HEARD[len(handlers.variants)], elem_id="masthead")
        with gr.Tab("Chat"):
            chat_line = chat_tab(handlers, controls)
        with gr.Tab("Compare"):
            compare_line, standing = compare_tab(comparing, controls)
        with gr.Tab("Results") as results_drawn:
            chosen = results_tab(results)
        with gr.Tab("About"):
            about_tab(models, names)
        draw_sampling_controls(controls)
        gr.Markdown(model_links(models), elem_classes="small")
        add_endpoints(Endpoints(handlers.engine, handlers.context_turns, handlers.variants))
        page.load(comparing.standing, None, standing, **QUIET)
        results_drawn.select(comparing.standing, None, chosen, **QUIET)
        page.load(None, None, [chat_line, compare_line, controls.seed, controls.scene], js="() => repartee.opened()")
        page.load(None, js=FOCUS_ON_DESKTOPS)
    return page.queue(max_size=WAITING, default_concurrency_limit=at_once, api_open=False)


def model_links(models: ModelFacts) -> str:
    """Markdown: which models answer, each linked to its exact commit on the Hub."""
    from huggingface_hub import constants

    links = [
        f"[{ref.repo} @ {str(ref.revision)[:7]}]({constants.ENDPOINT}/{ref.repo}/tree/{ref.revision})"
        for ref in models.refs.values()
    ]
    return f"{', '.join(links)}. Replies are at most 64 tokens long; they are inventions, and can be rude or wrong."


def script() -> str:
    """What the browser does by itself, for the head of the page, with the limits that are checked on the server."""
    limits = f"const LIMITS = {json.dumps({'line': MAX_CHARACTERS, 'scene': MAX_SCENE, 'seed': len(str(MAX_SEED))})};"
    files = (Path(__file__).with_name(name).read_text("utf-8") for name in PAGE_SCRIPTS)
    return "".join(f"<script>{content}</script>" for content in (limits, *files))


def launch(
    page: gr.Blocks,
    host: str,
    port: int,
    a_session: float,
    an_address: float,
    mcp: bool = False,
    root_path: str = "",
) -> str:
    """Serve the page from a thread of its own and return its address; no analytics, no share link.

    Args:
        page: from `build_page`.
        host: address to listen on.
        port: port to listen on.
        a_session: requests a minute that one session may make.
        an_address: requests a minute that one address may make.
        mcp: also serve `/gradio_api/mcp/`, whose tools are the named endpoints.
        root_path: path or whole address that a proxy serves the page under.
    """
    keep_words_out()
    limit_slow_connections()
    share_queue(page._queue)
    inputs = {number: len(function.inputs) for number, function in page.fns.items()}
    rates = {"sessions": TokenBucket(a_session), "addresses": TokenBucket(an_address)}
    guard = Middleware(RequestGuard, **rates, inputs=inputs, mcp=mcp, prefix=urlsplit(root_path).path)
    _, address, _ = page.launch(
        server_name=host, server_port=port, prevent_thread_lock=True, quiet=True, share=False, ssr_mode=False,
        run_history=False, show_error=True, footer_links=[], theme=theme(), max_threads=MAX_THREADS,
        mcp_server=mcp, root_path=root_path,
        css_paths=[Path(__file__).with_name(name) for name in ("look.css", "page.css")], head=script(),
        app_kwargs={"middleware": [guard]},
    )  # fmt: skip
    return address
