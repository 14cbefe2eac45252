"""The page: a Chat tab and a Compare tab, declared in the order in which they are drawn, and how it is launched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from chat.sampling import Sampling
from space.handlers import LABELS, MAX_CHARACTERS, Handlers
from space.look import theme

EXAMPLES = ["You said you would never come back.", "Where were you last night?", "I think somebody is following us."]
KNOBS = {
    "temperature": "0 always takes the likeliest token, 2 is wild.",
    "top_k": "Choose among this many of the likeliest tokens.",
    "top_p": "Choose among the likeliest tokens that make up this share of the probability.",
}
WAITING = 32  # visitors in the queue before the page says that it is busy
AT_ONCE = 4  # requests handed to the engine at one time, which answers them in one batch where it can
MODEL: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": AT_ONCE, "show_progress": "minimal"}
QUIET: dict[str, Any] = {"queue": False, "api_visibility": "private", "show_progress": "hidden"}
HEADER = """
<header>
  <h1>Repartee</h1>
  <p>Say a line of film dialogue and a small language model answers with the next one. Hear the same model before
  training, after fine-tuning on film dialogue, and after learning which of two replies is the better one (DPO).</p>
</header>
"""


def reads(context_turns: int) -> str:
    """What the models see of a conversation, in words."""
    if context_turns == 1:
        return "The models see no earlier turns: as in their training, each answer is to your latest line alone."
    return f"The models see your latest line and up to {context_turns - 1} turns before it, as in their training."


def build_page(handlers: Handlers, base: str, adapters: dict[str, str], revisions: dict[str, str]) -> gr.Blocks:
    """The whole page, ready to launch; reads like the screen it draws."""
    knobs = sampling_knobs()
    with gr.Blocks(title="Repartee", analytics_enabled=False) as page:
        gr.HTML(HEADER, elem_id="masthead")
        with gr.Tab("Chat"):
            chat_tab(handlers, knobs)
        with gr.Tab("Compare"):
            compare_tab(handlers, knobs)
        with gr.Accordion("Sampling", open=False, elem_id="sampling"):
            for knob in knobs:
                knob.render()
        gr.Markdown(provenance({"base": base, **adapters}, revisions), elem_classes="small")
    return page.queue(max_size=WAITING)


def chat_tab(handlers: Handlers, knobs: list[gr.Slider]) -> None:
    """Talk to one voice. What was said is kept in the visitor's session, not taken from the page."""
    history = gr.State([])
    with gr.Row(elem_classes="cast"):
        choices = [(label, voice) for voice, label in LABELS.items()]
        who = gr.Radio(choices, value="dpo", label="Who answers", elem_id="who", min_width=200)
        anew = gr.Button("New conversation", size="sm", scale=0, min_width=150, elem_id="chat-new")
    conversation = gr.Chatbot(
        label="Conversation", show_label=False, elem_id="conversation", height="min(50vh, 26rem)", buttons=[],
        placeholder="Say the first line.", render_markdown=False, sanitize_html=True, allow_tags=False,
        latex_delimiters=[], allow_file_downloads=False,
    )  # fmt: skip
    ended = note("chat")
    line, send, stop = line_and_buttons("chat", "Send")
    example_buttons(line)
    gr.Markdown(reads(handlers.context_turns), elem_classes="small")

    shown = [conversation, line, ended, history]
    answering = gr.on(
        [send.click, line.submit], handlers.chat, [line, who, *knobs, history], shown, api_name="chat", **MODEL
    )
    stop.click(None, cancels=answering, **QUIET)
    anew.click(None, cancels=answering, **QUIET).then(lambda: ([], "", "", []), None, shown, **QUIET)


def compare_tab(handlers: Handlers, knobs: list[gr.Slider]) -> None:
    """The same line to all three voices, answered side by side (one below the other on a phone)."""
    line, send, stop = line_and_buttons("compare", "Ask all three")
    example_buttons(line)
    with gr.Row():
        replies, notes = zip(*(column(voice, label) for voice, label in LABELS.items()), strict=True)

    answering = gr.on(
        [send.click, line.submit], handlers.compare, [line, *knobs], [*replies, *notes], api_name="compare", **MODEL
    )
    stop.click(None, cancels=answering, **QUIET)


def sampling_knobs() -> list[gr.Slider]:
    """Temperature, top-k and top-p, shared by both tabs and drawn below them; the server enforces their bounds."""
    start = Sampling()
    return [
        gr.Slider(0, 2, start.temperature, step=0.05, label="Temperature", info=KNOBS["temperature"], render=False),
        gr.Slider(1, 100, start.top_k, step=1, precision=0, label="Top-k", info=KNOBS["top_k"], render=False),
        gr.Slider(0.05, 1, start.top_p, step=0.05, label="Top-p", info=KNOBS["top_p"], render=False),
    ]


def line_and_buttons(name: str, verb: str) -> tuple[gr.Textbox, gr.Button, gr.Button]:
    """The text box for a line, the button that sends it and the one that stops the answer."""
    with gr.Row(equal_height=True):
        line = gr.Textbox(
            label="Your line", placeholder="Type a line of dialogue", show_label=False, lines=1, max_lines=4, scale=6,
            max_length=MAX_CHARACTERS, container=False, min_width=220, elem_id=f"{name}-line", autofocus=name == "chat",
        )  # fmt: skip
        send = gr.Button(verb, variant="primary", scale=1, min_width=150, elem_id=f"{name}-send")
        return line, send, gr.Button("Stop", scale=0, min_width=80, elem_id=f"{name}-stop")


def example_buttons(line: gr.Textbox) -> None:
    """A row of lines to start from; a click puts one in the text box."""
    with gr.Row(elem_classes="examples"):
        for example in EXAMPLES:
            button = gr.Button(example, size="sm", scale=0, min_width=0)
            button.click(None, button, line, js="example => example", **QUIET)


def column(voice: str, label: str) -> tuple[gr.Textbox, gr.Markdown]:
    """One voice of the comparison: its reply, and how the reply ended."""
    with gr.Column(min_width=220):
        reply = gr.Textbox(
            label=label, lines=3, max_lines=14, interactive=False, elem_id=f"compare-{voice}", elem_classes="voice"
        )
        return reply, note(f"compare-{voice}")


def note(name: str) -> gr.Markdown:
    """A quiet line under an answer, for how it ended."""
    return gr.Markdown(elem_classes="small note", elem_id=f"{name}-note", min_height=22)


def provenance(repos: dict[str, str], revisions: dict[str, str]) -> str:
    """Markdown: which models answer (voice -> Hub id), each linked to its exact commit (voice -> sha) on the Hub."""
    from huggingface_hub import constants

    links = [
        f"[{repo} @ {revisions[voice][:7]}]({constants.ENDPOINT}/{repo}/tree/{revisions[voice]})"
        for voice, repo in repos.items()
    ]
    return f"{', '.join(links)}. Replies are at most 64 tokens long; they are inventions, and can be rude or wrong."


def launch(page: gr.Blocks, host: str, port: int) -> str:
    """Serve the page from a thread of its own and return its address; no analytics, no share link."""
    _, address, _ = page.launch(
        server_name=host, server_port=port, prevent_thread_lock=True, quiet=True, share=False, ssr_mode=False,
        run_history=False, show_error=True, footer_links=[], theme=theme(),
        css_paths=Path(__file__).with_name("page.css"),
    )  # fmt: skip
    return address
