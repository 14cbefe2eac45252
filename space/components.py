"""Parts that several tabs are made of: the line and its buttons, the examples, the sampling, the quiet notes."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import gradio as gr

from chat.sampling import Sampling
from space.chat_handlers import MAX_CHARACTERS, MAX_SCENE, MAX_SEED

EXAMPLE_LINES = {
    "Drama": ["You said you would never come back.", "Mother sold the house.", "I did not do it for the money."],
    "Crime": ["Where were you last night?", "Put the bag on the table.", "Nobody saw us leave."],
    "Romance": ["Why did you keep my letters?", "Dance with me.", "I am getting married on Sunday."],
    "Comedy": ["There is a goat in the kitchen.", "You call that a moustache?", "I told them you are a doctor."],
    "Thriller": ["I think somebody is following us.", "Do not open that door.", "The phone has been dead for an hour."],
    "Science fiction": ["The ship is not responding.", "What year is it?", "They look just like us."],
}
EXAMPLES_OF_GENRE = "genre => (%s)[genre]"
HELP = {
    "temperature": "0 always takes the likeliest token, 2 is wild.",
    "top_k": "Choose among this many of the likeliest tokens.",
    "top_p": "Choose among the likeliest tokens that make up this share of the probability.",
    "seed": "A whole number makes an answer repeatable. Empty: every answer is drawn anew.",
    "scene": "Where we are, and who speaks. It joins the system prompt; no model was trained with one.",
}
MODEL: dict[str, Any] = {"concurrency_id": "model", "show_progress": "minimal"}  # `build_page` says how many at once
QUIET: dict[str, Any] = {"queue": False, "api_visibility": "private", "show_progress": "hidden"}


class SamplingControls(NamedTuple):
    """What decides how an answer is drawn, beside the line; both tabs read the same."""

    temperature: gr.Slider
    top_k: gr.Slider
    top_p: gr.Slider
    seed: gr.Number
    scene: gr.Textbox


def make_sampling_controls() -> SamplingControls:
    """Made before the tabs that read them and drawn below them; the server enforces their bounds."""
    start = Sampling()
    return SamplingControls(
        gr.Slider(0, 2, start.temperature, step=0.05, label="Temperature", info=HELP["temperature"], render=False),
        gr.Slider(1, 100, start.top_k, step=1, precision=0, label="Top-k", info=HELP["top_k"], render=False),
        gr.Slider(0.05, 1, start.top_p, step=0.05, label="Top-p", info=HELP["top_p"], render=False),
        gr.Number(
            None, label="Seed (optional)", info=HELP["seed"], precision=0, minimum=0, maximum=MAX_SEED, render=False,
            elem_id="seed",
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
        reset.click(lambda: (start.temperature, start.top_k, start.top_p, None, ""), None, list(controls), **QUIET)


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
    """Lines to start from, by genre; a click puts one in the text box, and nothing is asked of the server."""
    with gr.Row(elem_classes="words"):
        genre = gr.Dropdown(
            list(EXAMPLE_LINES), value="Drama", label="Genre of the examples", show_label=False, container=False,
            scale=0, min_width=140, filterable=False,
        )  # fmt: skip
        buttons = [gr.Button(example, size="sm", scale=0, min_width=0) for example in EXAMPLE_LINES["Drama"]]
    for button in buttons:
        button.click(None, button, line, js="example => example", **QUIET)
    genre.change(None, genre, buttons, js=EXAMPLES_OF_GENRE % json.dumps(EXAMPLE_LINES), **QUIET)


def quiet_note(name: str) -> gr.Markdown:
    """A quiet line under an answer, for how it ended."""
    return gr.Markdown(elem_classes="small note", elem_id=f"{name}-note", min_height=22)
