"""The handlers of the page, with an engine that reads from a script."""

from __future__ import annotations

import gradio as gr
import pytest

from chat.engine.openai_formats import EngineError
from chat.template import SYSTEM_PROMPT
from space.chat_handlers import MAX_HISTORY, ChatHandlers, as_script
from tests.support.script_engine import Script


def test_chat_streams_and_remembers():
    engine = Script(sft="I never said that.")
    first, *rest = ChatHandlers(engine, 1).chat("  Who are you? ", "sft", 0.7, 5, 0.5, [])
    assert first[0] == [{"role": "user", "content": "Who are you?"}]
    assert [shown[-1]["content"].split("\n")[1] for shown, *_ in rest] == [
        "I", "I never", "I never said", "I never said that.",
    ]  # fmt: skip
    shown, _, note, history = rest[-1]
    assert "Fine-tuned" in shown[-1]["content"]
    assert first[1] == ""
    assert "4 tokens" in note
    assert history[-1] == {"role": "assistant", "content": "I never said that.", "voice": "sft"}
    [(prompts, names, sampling)] = engine.asked
    assert names == ["sft"]
    assert (sampling.temperature, sampling.top_k, sampling.top_p, sampling.max_new_tokens) == (0.7, 5, 0.5, 64)
    assert [turn["role"] for turn in prompts[0]] == ["system", "user"]


def test_the_model_sees_as_many_turns_as_it_was_trained_with():
    history = [
        {"role": "user", "content": "One."},
        {"role": "assistant", "content": "Two.", "voice": "dpo"},
        {"role": "user", "content": "Three."},
        {"role": "assistant", "content": "Four.", "voice": "dpo"},
    ]
    engine = Script(dpo="Six.")
    list(ChatHandlers(engine, 3).chat("Five.", "dpo", 0.9, 25, 0.95, history))
    [(prompts, _, _)] = engine.asked
    assert [turn["content"] for turn in prompts[0][1:]] == ["Three.", "Four.", "Five."]


def test_a_stop_closes_the_stream_of_the_engine():
    engine = Script(dpo="a b c d")
    answer = ChatHandlers(engine, 1).chat("Who?", "dpo", 0.9, 25, 0.95, [])
    next(answer), next(answer)
    assert not engine.closed
    answer.close()
    assert engine.closed


def test_a_scene_joins_the_system_prompt():
    engine = Script(dpo="Six.")
    list(ChatHandlers(engine, 1).chat("Who?", "dpo", 0.9, 25, 0.95, [], None, " A station.\n Night. "))
    list(ChatHandlers(engine, 1).chat("Who?", "dpo", 0.9, 25, 0.95, [], None, " "))
    told = [prompts[0][0] for prompts, _, _ in engine.asked]
    assert told[0] == {"role": "system", "content": f"{SYSTEM_PROMPT} The scene: A station. Night."}
    assert told[1] == {"role": "system", "content": SYSTEM_PROMPT}
    with pytest.raises(gr.Error, match="301 characters"):
        list(ChatHandlers(engine, 1).chat("Who?", "dpo", 0.9, 25, 0.95, [], None, "x" * 301))


def test_a_server_in_trouble_is_told_without_its_address(capsys):
    class Broken:
        def stream(self, *asked):
            yield from ()
            raise EngineError("the server of dpo, http://10.0.0.9/v1, cannot be reached")

    with pytest.raises(gr.Error) as raised:
        list(ChatHandlers(Broken(), 1).chat("walrus", "dpo", 0.9, 25, 0.95, []))
    assert "again in a moment" in str(raised.value.message)
    assert "10.0.0.9" not in str(raised.value.message)
    assert capsys.readouterr().out == "engine: the server of dpo, http://10.0.0.9/v1, cannot be reached\n"


def test_no_line_is_no_question():
    engine = Script(dpo="a")
    assert len(list(ChatHandlers(engine, 1).chat(" \n ", "dpo", 0.9, 25, 0.95, []))) == 1
    assert len(list(ChatHandlers(engine, 1).again("dpo", 0.9, 25, 0.95, []))) == 1
    assert engine.asked == []


def test_lengths_and_bounds_are_checked_on_the_server():
    ask = ChatHandlers(Script(dpo="a"), 1)
    with pytest.raises(gr.Error, match="501 characters"):
        list(ask.chat("x" * 501, "dpo", 0.9, 25, 0.95, []))
    with pytest.raises(gr.Error, match="top_p"):
        list(ask.chat("Who?", "dpo", 0.9, 25, 0.0, []))
    for seed in (-1, 1.5, 2**31):
        with pytest.raises(gr.Error, match="whole number"):
            list(ask.chat("Who?", "dpo", 0.9, 25, 0.95, [], seed))
    assert len(list(ask.chat("x" * 500, "dpo", 0.9, 25, 0.95, []))) == 2


def test_what_is_said_is_shown_as_text():
    turns = [{"role": "user", "content": "<img src=x>"}, {"role": "assistant", "content": "<b>&amp;", "voice": "base"}]
    assert [turn["content"] for turn in as_script(turns)] == [
        "&lt;img src=x&gt;",
        "<small>Base</small>\n&lt;b&gt;&amp;amp;",
    ]


def test_a_long_conversation_is_forgotten_from_its_beginning():
    history = [{"role": "user", "content": str(n)} for n in range(MAX_HISTORY)]
    first, *_ = ChatHandlers(Script(dpo="a"), 1).chat("last", "dpo", 0.9, 25, 0.95, history)
    assert (len(first[0]), first[0][0]["content"], first[0][-1]["content"]) == (MAX_HISTORY, "1", "last")
