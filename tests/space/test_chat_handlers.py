"""The handlers of the page, with an engine that reads from a script."""

from __future__ import annotations

import gradio as gr
import pytest

from chat.engine.openai_formats import EngineError
from chat.generate import Partial
from chat.template import SYSTEM_PROMPT
from space.chat_handlers import HALF_WRITTEN, ChatHandlers, edit, undo
from space.conversation import MAX_EXCHANGES, Exchange
from space.script_page import actions, past_turns, turn
from tests.support.script_engine import Script

KNOBS = (0.9, 25, 0.95)
THREE = {"base": "Me.", "sft": "I never said that.", "dpo": "Not me."}


def test_chat_asks_all_three_at_once_streams_and_remembers():
    engine = Script(**THREE)
    first, *rest = ChatHandlers(engine, 1).chat("  Who are you? ", "sft", 0.7, 5, 0.5, [])
    unanswered = actions("your line", "Edit", "Copy", "Again")
    assert first[:2] == ("", turn("You", "Who are you?", "user", after=unanswered))
    assert first[2] == ""
    growing = [history[-1].drafts[-1]["sft"].text for *_, history in rest]
    assert growing == ["I", "I never", "I never said", "I never said that."]
    _, latest, _, note, history = rest[-1]
    assert [f">{reply}</p>" in latest for reply in THREE.values()] == [True] * 3
    assert note.startswith("All three have answered: 7 tokens in ")
    assert [step[3] for step in rest[:-1]] == [""] * 3, "not before the last has ended"
    replies = history[-1].drafts[0]
    assert {variant: reply.text for variant, reply in replies.items()} == THREE
    assert "after 2 tokens." in replies["dpo"].note
    assert f"Seed {engine.seed}." in replies["dpo"].note
    [(prompts, names, sampling)] = engine.asked
    assert names == ["base", "sft", "dpo"]
    assert (sampling.temperature, sampling.top_k, sampling.top_p, sampling.max_new_tokens) == (0.7, 5, 0.5, 64)
    assert [turn["role"] for turn in prompts[0]] == ["system", "user"]


def test_the_model_reads_what_was_shown_and_as_many_turns_as_it_was_trained_with():
    engine, history = Script(**THREE), []
    for line, who in (("One.", "dpo"), ("Two.", "sft"), ("Three.", "base")):
        *_, (_, _, _, _, history) = ChatHandlers(engine, 3).chat(line, who, *KNOBS, history)
    read = [[turn["content"] for turn in prompts[0][1:]] for prompts, _, _ in engine.asked]
    assert read == [["One."], ["One.", "I never said that.", "Two."], ["Two.", "Me.", "Three."]]
    assert past_turns(history).count("<article") == 4


def test_a_stop_closes_the_stream_of_the_engine():
    engine = Script(**{**THREE, "dpo": "a b c d e f"})
    answer = ChatHandlers(engine, 1).chat("Who?", "dpo", *KNOBS, [])
    next(answer), next(answer)
    assert not engine.closed
    answer.close()
    assert engine.closed


def test_a_line_that_was_stopped_before_its_answer_is_in_the_history_and_not_in_the_next_prompt():
    engine = Script(**THREE)
    answer = ChatHandlers(engine, 3).chat("Who?", "dpo", *KNOBS, [])
    *_, history = next(answer)
    answer.close()
    assert [exchange.line for exchange in history] == ["Who?"]
    *_, (_, _, _, _, answered) = ChatHandlers(engine, 3).again(*KNOBS, history)
    assert answered[0].drafts[0]["dpo"].text == "Not me."
    first, *_ = ChatHandlers(engine, 3).chat("Where?", "dpo", *KNOBS, history)
    past, latest = actions("your line", "Copy"), actions("your line", "Edit", "Copy", "Again")
    shown = turn("You", "Who?", "user", after=past) + turn("You", "Where?", "user", after=latest)
    assert first[0] + first[1] == shown
    [(prompts, _, _)] = engine.asked[-1:]
    assert [turn["content"] for turn in prompts[0][1:]] == ["Where?"], "what the model reads: turns alternate"


def test_answers_are_kept_as_drafts_side_by_side():
    engine = Script(**THREE)
    *_, (*_, history) = ChatHandlers(engine, 1).chat("Who?", "dpo", *KNOBS, [], "7")
    engine.replies["dpo"] = "You know me."
    *_, (_, latest, _, _, history) = ChatHandlers(engine, 1).again(*KNOBS, history, "8")
    assert [draft["dpo"].text for draft in history[0].drafts] == ["Not me.", "You know me."]
    assert [note.split("Seed ")[1] for note in (draft["dpo"].note for draft in history[0].drafts)] == ["7.", "8."]
    assert latest.count("current") == 3
    assert latest.count(" 1/2 ") == latest.count(" 2/2 ") == 3
    *_, (*_, history) = ChatHandlers(engine, 3).chat("Where?", "dpo", *KNOBS, history)
    assert [turn["content"] for turn in engine.asked[-1][0][0][1:]] == ["Who?", "You know me.", "Where?"]


def test_edit_leaves_what_is_half_written_alone():
    *_, (*_, history) = ChatHandlers(Script(**THREE), 1).chat("Who?", "dpo", *KNOBS, [])
    assert edit(history, " ") == ("", "", "Who?", "", [])
    assert edit([], "") == (gr.skip(),) * 5
    *unchanged, note, _ = edit(history, "I have beg")
    assert (unchanged, note) == ([gr.skip()] * 3, HALF_WRITTEN)
    *_, (*_, longer) = ChatHandlers(Script(**THREE), 1).chat("Where?", "sft", *KNOBS, history)
    before, latest, note, left = undo(longer)
    assert (before, note, len(left)) == ("", "", 1)
    assert left == history, "the line before is the latest again, with all its drafts"
    assert latest.count("<article") == 4


def test_a_scene_joins_the_system_prompt():
    engine = Script(**THREE)
    list(ChatHandlers(engine, 1).chat("Who?", "dpo", 0.9, 25, 0.95, [], "", " A station.\n Night. "))
    list(ChatHandlers(engine, 1).chat("Who?", "dpo", 0.9, 25, 0.95, [], "", " "))
    told = [prompts[0][0] for prompts, _, _ in engine.asked]
    assert told[0] == {"role": "system", "content": f"{SYSTEM_PROMPT} The scene: A station. Night."}
    assert told[1] == {"role": "system", "content": SYSTEM_PROMPT}
    with pytest.raises(gr.Error, match="301 characters"):
        list(ChatHandlers(engine, 1).chat("Who?", "dpo", 0.9, 25, 0.95, [], "", "x" * 301))


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
    engine = Script(**THREE)
    assert len(list(ChatHandlers(engine, 1).chat(" \n ", "dpo", 0.9, 25, 0.95, []))) == 1
    assert len(list(ChatHandlers(engine, 1).again(*KNOBS, []))) == 1
    assert engine.asked == []


def test_lengths_and_bounds_are_checked_on_the_server():
    ask = ChatHandlers(Script(**THREE), 1)
    with pytest.raises(gr.Error, match="501 characters"):
        list(ask.chat("x" * 501, "dpo", 0.9, 25, 0.95, []))
    with pytest.raises(gr.Error, match="top_p"):
        list(ask.chat("Who?", "dpo", 0.9, 25, 0.0, []))
    wrong = ("-1", "1.5", "2147483648", "seven", "1e3", "9" * 20, -1, 1.5, float("inf"), float("nan"))
    for seed in wrong:
        with pytest.raises(gr.Error, match=r"seed is .*whole number"):
            list(ask.chat("Who?", "dpo", 0.9, 25, 0.95, [], seed))
    for seed, known in (("7", 7), (" 7 ", 7), ("0", 0), (7, 7), (7.0, 7)):
        assert list(ask.chat("Who?", "dpo", 0.9, 25, 0.95, [], seed))
        assert ask.engine.seed == known
    drawn = set()
    for none in ("", " ", None):
        assert list(ask.chat("Who?", "dpo", 0.9, 25, 0.95, [], none))
        drawn.add(ask.engine.seed)
    assert len(drawn) == 3, "drawn anew"
    assert len(list(ask.chat("x" * 500, "dpo", 0.9, 25, 0.95, []))) == 5


def test_what_is_said_is_shown_as_text():
    engine = Script(base="<b>&amp;", sft="{{value}}", dpo="${value} `x`")
    *_, (_, latest, *_) = ChatHandlers(engine, 1).chat("<img src=x>", "dpo", *KNOBS, [])
    for shown in (
        "&lt;img src=x&gt;",
        "&lt;b&gt;&amp;amp;",
        "&#123;&#123;value&#125;&#125;",
        "&#36;&#123;value&#125; &#96;x",
    ):
        assert shown in latest


def test_a_long_conversation_is_forgotten_from_its_beginning():
    history = [Exchange(str(n)) for n in range(MAX_EXCHANGES)]
    first, *_ = ChatHandlers(Script(**THREE), 1).chat("last", "dpo", *KNOBS, history)
    assert (len(first[4]), first[4][0].line, first[4][-1].line) == (MAX_EXCHANGES, "1", "last")


def test_a_visitor_is_told_while_the_models_are_being_started(monkeypatch):
    class Starting(Script):
        def stream(self, *asked):
            for _ in range(3):
                yield [Partial("", False, None, 0, waiting=True)] * 3
            yield from super().stream(*asked)

    told = []
    monkeypatch.setattr(gr, "Info", lambda words, **how: told.append((words, how["title"])))
    *_, last = ChatHandlers(Starting(**THREE), 1).chat("Who are you?", "sft", *KNOBS, [])
    [(words, title)] = told  # once in ten seconds
    assert title == "Starting"
    assert "your line is answered when they are there. 0 seconds so far." in words
    assert last[3].startswith("All three have answered")
