"""The Compare tab: three columns without names, and the ballot below them."""

from __future__ import annotations

import gradio as gr

from space.chat_handlers import VARIANT_LABELS
from space.compare_handlers import CHOICES, LETTERS, CompareHandlers
from space.components import MODEL, QUIET, SamplingControls, example_buttons, line_and_buttons, quiet_note


def compare_tab(comparing: CompareHandlers, controls: SamplingControls) -> gr.Markdown:
    """The same line to all three variants, answered side by side (one below the other on a phone), blind.

    Returns the place of the standing, which is told anew whenever the page is opened.
    """
    line, send, stop = line_and_buttons("compare", "Ask all three")
    example_buttons(line)
    with gr.Row():
        replies, notes = zip(*map(column, LETTERS), strict=True)
    ballot = gr.State("")
    standing = gr.Markdown(elem_classes="small", elem_id="standing")
    with gr.Row(visible=False, elem_classes="words", elem_id="ballot") as choices:
        buttons = [gr.Button(name, size="sm", scale=0, min_width=0) for name in CHOICES]
        reveal = gr.Button("Just show the names", size="sm", scale=0, min_width=0, elem_id="reveal")

    shown = [*replies, *notes, ballot, choices, standing]
    answering = gr.on(
        [send.click, line.submit], comparing.blind, [line, *controls], shown, api_visibility="private", **MODEL
    )
    stop.click(None, cancels=answering, **QUIET)
    for button in buttons:
        button.click(comparing.vote, [button, ballot], shown, **QUIET)
    reveal.click(comparing.reveal, ballot, shown, **QUIET)
    endpoint(comparing, controls)
    return standing


def column(letter: str) -> tuple[gr.Textbox, gr.Markdown]:
    """One reply of the comparison, and how it ended."""
    with gr.Column(min_width=220):
        reply = gr.Textbox(
            label=letter, lines=3, max_lines=14, interactive=False, elem_id=f"compare-{letter}", elem_classes="variant"
        )
        return reply, quiet_note(f"compare-{letter}")


def endpoint(comparing: CompareHandlers, controls: SamplingControls) -> None:
    """`/compare` for programs: not blind, and so not to be voted on. Nobody sees its components."""
    with gr.Row(visible=False):
        line = gr.Textbox(label="Line")
        replies = [gr.Textbox(label=f"{label}: the reply") for label in VARIANT_LABELS.values()]
        notes = [gr.Textbox(label=f"{label}: how it ended") for label in VARIANT_LABELS.values()]
        ask = gr.Button("Compare")
    ask.click(comparing.compare, [line, *controls], [*replies, *notes], api_name="compare", **MODEL)
