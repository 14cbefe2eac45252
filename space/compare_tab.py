"""The Compare tab: three columns without names, a vote below each, and how the votes stand."""

from __future__ import annotations

import json

import gradio as gr

from space.compare_handlers import CHOICES, LETTERS, CompareHandlers
from space.components import (
    ANSWERING,
    AT_REST,
    EXAMPLE_LINES,
    MODEL,
    QUIET,
    SamplingControls,
    example_cards,
    line_and_buttons,
    open_scene,
)

DEAL = f"() => repartee.deal({json.dumps([line for lines in EXAMPLE_LINES.values() for line in lines])})"
FOCUS_NEXT = "() => repartee.focus('#compare-next')"
TO_BALLOT = "() => { repartee.atRest(); repartee.toBallot(); }"


def compare_tab(comparing: CompareHandlers, controls: SamplingControls) -> tuple[gr.Textbox, gr.HTML]:
    """The same line to all variants, answered side by side (one below the other on a phone), blind.

    Returns the box for the line, and the place of the standing, which is told anew whenever the page is opened.
    """
    asked = "Ask both" if len(comparing.variants) == 2 else "Ask all three"
    line, send, stop = line_and_buttons("compare", asked)
    open_scene("compare", line, controls.scene)
    examples = example_cards("compare", "The same line to each, without their names. Pick one, or write your own.")
    with gr.Row(elem_id="replies"):
        replies, best = zip(
            *(column(letter, n < len(comparing.variants)) for n, letter in enumerate(LETTERS)), strict=True
        )
    ballot = gr.State("")
    with gr.Row(visible=False, elem_classes="words", elem_id="ballot") as choices:
        others = [gr.Button(name, size="sm", scale=0, min_width=0) for name in CHOICES if name not in BEST]
        reveal = gr.Button("Just show the names", size="sm", scale=0, min_width=0, elem_id="reveal")
    standing = gr.HTML(elem_id="standing")
    with gr.Row(visible=False, elem_classes="words", elem_id="after") as after:
        next_line = gr.Button("Next line", variant="primary", scale=0, min_width=150, elem_id="compare-next")

    with gr.Accordion("Delete a vote", open=False, elem_id="delete-vote"):
        vote_id = gr.Textbox(label="Id of the vote, as it was told after it", max_lines=1, elem_id="vote-id")
        delete = gr.Button("Delete this vote", size="sm", elem_id="vote-delete")

    shown = [*replies, *best, ballot, choices, standing, after, vote_id]
    how = [controls.temperature, controls.top_k, controls.top_p, controls.scene]
    options = {"js": ANSWERING % "compare", "api_visibility": "private", **MODEL}
    dealt = next_line.click(None, None, line, js=DEAL)
    answering = [
        gr.on([send.click, line.submit], comparing.blind, [line, *how], shown, api_name="blind", **options),
        dealt.then(comparing.blind, [line, *how], shown, **options),
        *(card.click(comparing.blind, [card, *how], shown, **options) for card in examples.cards),
    ]
    for card in examples.cards:
        card.click(None, card, line, js="said => said", **QUIET)
    for one in answering:
        one.then(None, js=TO_BALLOT)
        one.failure(None, js=AT_REST)
    stop.click(None, cancels=answering, js=AT_REST, **QUIET)
    for button in (*best, *others):
        button.click(comparing.vote, [button, ballot], shown, **QUIET).success(None, js=FOCUS_NEXT)
    reveal.click(comparing.reveal, ballot, shown, **QUIET).success(None, js=FOCUS_NEXT)
    delete.click(comparing.delete, vote_id, [vote_id, standing], **QUIET)
    return line, standing


BEST = [f"{letter} is best" for letter in LETTERS]


def column(letter: str, visible: bool) -> tuple[gr.HTML, gr.Button]:
    """One reply of the comparison, and the vote for it."""
    with gr.Column(min_width=220, visible=visible, elem_classes="column"):
        reply = gr.HTML(elem_id=f"compare-{letter}", elem_classes="variant")
        return reply, gr.Button(f"{letter} is best", visible=False, elem_classes="best", elem_id=f"best-{letter}")
