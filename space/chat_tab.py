"""The Chat tab: talk to one variant, and let another one answer the same line."""

from __future__ import annotations

import gradio as gr

from chat.template import Message
from space.chat_handlers import VARIANT_LABELS, ChatHandlers, edit, undo
from space.components import MODEL, QUIET, SamplingControls, example_buttons, line_and_buttons, quiet_note

COPY = """() => {
    const turns = [...document.querySelectorAll("#conversation .message-content")];
    navigator.clipboard.writeText(turns.map(turn => turn.innerText).join("\\n\\n"));
}"""
"""Copies what is seen: the words are on the page already, and the server need not be asked."""

SHARE = """async () => {
    const turns = [...document.querySelectorAll("#conversation .message-content")];
    const text = turns.map(turn => turn.innerText).join("\\n\\n"), url = location.origin + location.pathname;
    if (navigator.share) return navigator.share({title: "Repartee", text, url}).catch(() => {});
    await navigator.clipboard.writeText(text + "\\n\\n" + url);
    const button = document.querySelector("#chat-share");
    button.textContent = "Copied with the address";
    setTimeout(() => { button.textContent = "Share"; }, 2000);
}"""
"""Hands the conversation and the page's address to whatever the visitor's device shares with, else to the clipboard."""

FOCUS = "() => document.querySelector('#chat-line textarea').focus()"


def context_note(context_turns: int) -> str:
    """What the models see of a conversation, in words."""
    if context_turns == 1:
        return "The models see no earlier turns: as in their training, each answer is to your latest line alone."
    return f"The models see your latest line and up to {context_turns - 1} turns before it, as in their training."


def known_variant(variant: object) -> str:
    """The variant that was chosen. Gradio's own check would write what a stranger sends into the log."""
    if not isinstance(variant, str) or variant not in VARIANT_LABELS:
        raise gr.Error(
            f"There is no such variant: {', '.join(VARIANT_LABELS)}.", title="Variant", print_exception=False
        )
    return variant


def chat_tab(handlers: ChatHandlers, controls: SamplingControls) -> None:
    """Talk to one variant. What was said is kept in the visitor's session, not taken from the page."""
    history = gr.State(list[Message]())
    with gr.Row(elem_classes="cast"):
        choices = [(label, variant) for variant, label in VARIANT_LABELS.items()]
        who = gr.Radio(choices, value="dpo", label="Who answers", elem_id="who", min_width=200)
        who.preprocess = known_variant  # type: ignore[method-assign, assignment]
        anew = gr.Button("New conversation", size="sm", scale=0, min_width=150, elem_id="chat-new")
    conversation = gr.Chatbot(
        label="Conversation", show_label=False, elem_id="conversation", height="min(50vh, 26rem)", buttons=[],
        placeholder="Say the first line.", render_markdown=False, sanitize_html=True, allow_tags=False,
        latex_delimiters=[], allow_file_downloads=False,
    )  # fmt: skip
    ended = quiet_note("chat")
    with gr.Row(elem_classes="words"):
        again = gr.Button("Answer again", size="sm", scale=0, min_width=0, elem_id="chat-again")
        edited = gr.Button("Edit my line", size="sm", scale=0, min_width=0, elem_id="chat-edit")
        undone = gr.Button("Undo", size="sm", scale=0, min_width=0, elem_id="chat-undo")
        copied = gr.Button("Copy", size="sm", scale=0, min_width=0, elem_id="chat-copy")
        shared = gr.Button("Share", size="sm", scale=0, min_width=0, elem_id="chat-share")
    line, send, stop = line_and_buttons("chat", "Send")
    example_buttons(line)
    gr.Markdown(
        f"{context_note(handlers.context_turns)} Choose another variant and press *Answer again* to hear it on the "
        "same line.",
        elem_classes="small",
    )

    shown = [conversation, line, ended, history]
    how = [controls.temperature, controls.top_k, controls.top_p, history, controls.seed, controls.scene]
    answering = [
        gr.on([send.click, line.submit], handlers.chat, [line, who, *how], shown, api_name="chat", **MODEL),
        again.click(handlers.again, [who, *how], shown, api_visibility="private", **MODEL),
    ]
    for button in (stop, anew, undone, edited):
        button.click(None, cancels=answering, **QUIET)
    anew.click(lambda: ([], "", "", []), None, shown, **QUIET)
    undone.click(undo, history, [conversation, ended, history], **QUIET)
    edited.click(edit, history, shown, **QUIET).then(None, js=FOCUS)
    copied.click(None, js=COPY)
    shared.click(None, js=SHARE)
