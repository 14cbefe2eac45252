"""Parts that several tabs are made of: the line and its buttons, the examples, the sampling, the quiet notes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from chat.sampling import Sampling
from space.chat_handlers import MAX_CHARACTERS, MAX_SCENE, MAX_SEED

EXAMPLE_LINES: dict[str, list[str]] = json.loads(Path(__file__).with_name("examples.json").read_text("utf-8"))
"""By genre."""
EXAMPLES_OF_GENRE = "genre => (%s)[genre]"
ANSWERING = "(...given) => { repartee.answering('%s'); return given; }"
AT_REST = "() => repartee.atRest()"
"""What page.js does while an answer is written, and afterwards: Stop stands in the place of Send."""
HELP = {
    "temperature": "0 always takes the likeliest token, 2 is wild.",
    "top_k": "Choose among this many of the likeliest tokens.",
    "top_p": "Choose among the likeliest tokens that make up this share of the probability.",
    "seed": "A whole number makes a chat answer repeatable. Empty: drawn anew, as blind comparisons always are.",
    "scene": "Where we are, and who speaks. It joins the system prompt; no model was trained with one.",
}
MODEL: dict[str, Any] = {"concurrency_id": "model", "show_progress": "minimal"}  # `build_page` says how many at once
QUIET: dict[str, Any] = {"queue": False, "api_visibility": "private", "show_progress": "hidden"}


class SamplingControls(NamedTuple):
    """What decides how an answer is drawn, beside the line; both tabs read the same."""

    temperature: gr.Slider
    top_k: gr.Slider
    top_p: gr.Slider
    seed: gr.Textbox
    scene: gr.Textbox


def make_sampling_controls() -> SamplingControls:
    """Made before the tabs that read them and drawn below them; the server enforces their bounds."""
    start = Sampling()
    return SamplingControls(
        gr.Slider(0, 2, start.temperature, step=0.05, label="Temperature", info=HELP["temperature"], render=False),
        gr.Slider(1, 100, start.top_k, step=1, precision=0, label="Top-k", info=HELP["top_k"], render=False),
        gr.Slider(0.05, 1, start.top_p, step=0.05, label="Top-p", info=HELP["top_p"], render=False),
        gr.Textbox(
            "", label="Seed (optional)", info=HELP["seed"], placeholder="new each time", lines=1, max_lines=1,
            max_length=len(str(MAX_SEED)), render=False, elem_id="seed",
        ),
        gr.Textbox(
            "", label="Scene (optional)", info=HELP["scene"], placeholder="A railway station at night.", lines=1,
            max_lines=3, max_length=MAX_SCENE, render=False, elem_id="scene",
        ),
    )  # fmt: skip


def draw_sampling_controls(controls: SamplingControls) -> None:
    """Renders the sampling controls in an accordion, with a button for their defaults."""
    with gr.Accordion("Sampling and scene", open=False, elem_id="sampling"):
        for control in controls:
            control.render()
        start = Sampling()
        reset = gr.Button("Back to the defaults", size="sm", elem_id="sampling-reset")
        reset.click(lambda: (start.temperature, start.top_k, start.top_p, "", ""), None, list(controls), **QUIET)


class Examples(NamedTuple):
    """Lines to start from."""

    cards: list[gr.Button]
    """Each says its line when it is clicked."""


def line_and_buttons(name: str, verb: str) -> tuple[gr.Textbox, gr.Button, gr.Button]:
    """The text box for a line, the button that sends it and the one that stops the answer, in the same place."""
    with gr.Row(equal_height=True, elem_classes="asking"):
        line = gr.Textbox(
            label="Your line", placeholder="Type a line of dialogue", show_label=False, lines=1, max_lines=4, scale=6,
            max_length=MAX_CHARACTERS, container=False, min_width=180, elem_id=f"{name}-line", elem_classes="line",
        )  # fmt: skip
        send = gr.Button(verb, variant="primary", scale=1, min_width=110, elem_id=f"{name}-send")
        stop = gr.Button("Stop", scale=1, min_width=110, elem_id=f"{name}-stop", elem_classes="stop")
        return line, send, stop


def open_scene(name: str, line: gr.Textbox, scene: gr.Textbox) -> None:
    """The button that opens a scene out of a file, which a drop anywhere on the page presses too.

    The browser reads the file and fills in line and scene; the server takes no files.
    """
    with gr.Row(elem_classes="opening"):
        button = gr.Button("Open a scene", size="sm", scale=0, min_width=0, elem_id=f"{name}-open")
        gr.Markdown("or drop a text or Fountain file: its last line is yours.", elem_classes="small")
    both = [line, scene]
    button.click(None, both, both, js=f"(line, scene) => repartee.openScene('{name}', line, scene)", **QUIET)


def example_cards(name: str, words: str) -> Examples:
    """The first screen: genres as chips, and three lines of the chosen one as cards; gone once something is said."""
    with gr.Column(elem_classes="cards", elem_id=f"{name}-cards"):
        gr.Markdown(words)
        genre = gr.Radio(list(EXAMPLE_LINES), value="Drama", label="Genre", elem_classes="chips", container=False)
        with gr.Row():
            cards = [gr.Button(line, elem_classes="card", min_width=180) for line in EXAMPLE_LINES["Drama"]]
    genre.change(None, genre, cards, js=EXAMPLES_OF_GENRE % json.dumps(EXAMPLE_LINES), **QUIET)
    return Examples(cards)


def quiet_note(name: str) -> gr.Markdown:
    """A quiet line under an answer, for how it ended."""
    return gr.Markdown(elem_classes="small note", elem_id=f"{name}-note", min_height=22)
