"""The Chat tab: say a line, hear all three variants answer it, and look at the one or the other."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from space.chat_handlers import ChatHandlers, edit, undo
from space.components import (
    ANSWERING,
    AT_REST,
    MODEL,
    QUIET,
    Examples,
    SamplingControls,
    example_cards,
    line_and_buttons,
    open_scene,
    quiet_note,
)
from space.conversation import VARIANT_LABELS, Exchange

FOCUS = "() => document.querySelector('#chat-line textarea').focus({preventScroll: true})"
FOCUS_ON_DESKTOPS = f"() => {{ if (matchMedia('(hover: hover) and (pointer: fine)').matches) ({FOCUS})(); }}"
"""Where a keyboard would cover half of the screen, nothing is focused before it is touched; nothing scrolls away."""


def context_note(context_turns: int) -> str:
    """What the models see of a conversation, in words."""
    if context_turns == 1:
        return "The models see no earlier turns: as in their training, each answer is to your latest line alone."
    return f"The models see your latest line and up to {context_turns - 1} turns before it, as in their training."


def known_variant(variants: tuple[str, ...], variant: object) -> str:
    """The variant that was chosen. Gradio's own check would write what a stranger sends into the log."""
    if not isinstance(variant, str) or variant not in variants:
        raise gr.Error(f"There is no such variant: {', '.join(variants)}.", title="Variant", print_exception=False)
    return variant


def chat_tab(handlers: ChatHandlers, controls: SamplingControls) -> gr.Textbox:
    """Talk to all three, and see one at a time. What was said is kept in the visitor's session, not on the page.

    Returns the box for the line, which a link may fill.
    """
    history = gr.State(list[Exchange]())
    with gr.Row(elem_classes="cast"):
        choices = [(VARIANT_LABELS[variant], variant) for variant in handlers.variants]
        who = gr.Radio(
            choices, value=handlers.variants[-1], label="Whose answer is shown", elem_id="who", min_width=200
        )
        who.preprocess = partial(known_variant, handlers.variants)  # type: ignore[method-assign, assignment]
        anew = gr.Button("New conversation", size="sm", scale=0, min_width=150, elem_id="chat-new")
    with gr.Column(elem_id="conversation"):
        past, latest = gr.HTML(elem_id="past"), gr.HTML(elem_id="latest")
    examples = example_cards("chat", "Say the first line, or pick one of these.")
    ended = quiet_note("chat")
    with gr.Row(elem_classes="words", elem_id="chat-tools"):
        again = gr.Button("Answer again", elem_id="chat-again", elem_classes="behind")  # pressed by a message's own
        edited = gr.Button("Edit my line", elem_id="chat-edit", elem_classes="behind")
        undone = gr.Button("Undo", size="sm", scale=0, min_width=0, elem_id="chat-undo")
        copied = gr.Button("Copy all", size="sm", scale=0, min_width=0, elem_id="chat-copy")
        shared = gr.Button("Share", size="sm", scale=0, min_width=0, elem_id="chat-share")
    line, send, stop = line_and_buttons("chat", "Send")
    open_scene("chat", line, controls.scene)
    gr.Markdown(context_note(handlers.context_turns), elem_classes="small")

    shown = [past, latest, line, ended, history]
    given = [who, history, *controls]
    answering: list[dict[str, Any]] = [*answer_events(handlers, line, send, again, examples, given, shown)]
    stop.click(None, cancels=answering, js=AT_REST, **QUIET)
    for button in (anew, undone, edited):
        button.click(None, cancels=answering, js=AT_REST, **QUIET)
    anew.click(lambda: ("", "", "", "", []), None, shown, **QUIET)
    undone.click(undo, history, [past, latest, ended, history], **QUIET)
    edited.click(edit, [history, line], shown, **QUIET).then(None, js=FOCUS)
    copied.click(None, js="() => repartee.copy()")
    shared.click(None, js="() => repartee.share()")
    return line


def answer_events(
    handlers: ChatHandlers,
    line: gr.Textbox,
    send: gr.Button,
    again: gr.Button,
    examples: Examples,
    given: list[gr.components.Component],
    shown: list[gr.components.Component],
) -> list[gr.events.Dependency]:
    """Everything that asks the models: Send and Enter, a card, and Answer again; each marks the page as answering."""
    who, history, temperature, top_k, top_p, seed, scene = given
    how = [temperature, top_k, top_p, history, seed, scene]
    options = {"js": ANSWERING % "chat", "api_visibility": "private", **MODEL}
    asked = [
        gr.on([send.click, line.submit], handlers.chat, [line, who, *how], shown, api_name="say", **options),
        again.click(handlers.again, how, shown, api_name="again", **options),
        *(card.click(handlers.chat, [card, who, *how], shown, api_name="card", **options) for card in examples.cards),
    ]
    for one in asked:
        one.then(None, js=AT_REST)
        one.failure(None, js=AT_REST)
    return asked
