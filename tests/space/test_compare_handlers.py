"""The Compare tab's handlers, with an engine that reads from a script."""

from __future__ import annotations

import gradio as gr
import pytest

from chat.generate import Partial
from space.ballots import comparison_of
from space.compare_handlers import CompareHandlers, telltale
from tests.support.compare_page import KNOBS, REVISIONS, Page, cues, said


def test_two_variants_leave_the_third_column_hidden():
    page = Page()
    page.comparing = CompareHandlers(page.engine, 1, page.ballots, ("base", "sft"))
    id = page.ask()
    assert page.engine.asked[0][1] == ["base", "sft"]
    streamed, last = page.steps[-2], page.steps[-1]
    assert sorted(said(streamed)) == ["", "One.", "Two two."]
    assert [button["visible"] for button in last[3:6]] == [True, True, False]
    with pytest.raises(gr.Error, match="not on the ballot"):
        page.vote("C is best", id)
    page.vote("A is best", id)
    assert set(page.kept[0].replies) == {"base", "sft"}


def test_a_comparison_is_blind_until_the_vote():
    page = Page()
    id = page.ask()
    *streamed, last = page.steps[1:]
    assert sorted(said(streamed[-1])) == ["One.", "Three.", "Two two."]
    assert said(last) == said(streamed[-1]), "what streamed in a column stays in it"
    assert cues(last) == cues(streamed[-1]) == ["A", "B", "C"]
    assert all("token" not in str(part) for step in page.steps for part in step), "how it ended gives a variant away"
    told = page.vote("B is best", id)
    [vote] = page.kept
    assert vote.seed == page.engine.seed
    assert str(vote.seed) not in str(page.steps), "a seed, asked again at /compare, would name all three"
    assert vote.tokens == {"base": 1, "sft": 2, "dpo": 1}
    assert (vote.choice, vote.chosen) == ("2", vote.shown[1])
    assert vote.replies == {"base": "One.", "sft": "Two two.", "dpo": "Three."}
    assert (vote.revisions, vote.sampling["top_k"]) == (REVISIONS, 25)
    assert [cue.split(": ")[1] for cue in cues(told)] == [
        {"base": "Base", "sft": "Fine-tuned", "dpo": "DPO"}[variants[0]] for variants in vote.shown
    ]
    assert all("token" in column for column in told[:3])
    assert told[6] == ""
    assert comparison_of(told[10]) == vote.comparison, "the id that deletes it is told to its voter, and not published"
    assert told[10] in told[8]
    assert told[9]["visible"], "the next line"
    assert "1 vote so far" in told[8]


def test_what_a_base_says_after_its_turn_does_not_give_it_away():
    class Long:
        def stream(self, prompts, names, sampling, seed=None):
            yield [Partial(f"{name}.\n" + "And on it goes.\n" * 9, True, "length", 64) for name in names]

    page = Page()
    page.comparing = CompareHandlers(Long(), 1, page.ballots)
    page.vote("A is best", page.ask())
    assert sorted(said(page.steps[-1])) == ["base.", "dpo.", "sft."]
    assert page.kept[0].replies == {"base": "base.", "sft": "sft.", "dpo": "dpo."}, "what is published is what was read"


def test_the_order_is_shuffled_for_every_comparison():
    page = Page()
    orders = set()
    for _ in range(60):
        page.ask()
        orders.add(tuple(said(page.steps[-1])))
    assert len(orders) == 6


def test_equal_replies_are_one_option_and_all_equal_are_no_ballot():
    page = Page(base="No.", sft="Yes.", dpo="No.")
    id = page.ask()
    shown = said(page.steps[-1])
    assert cues(page.steps[-1]) == ["A", "B", ""], "that two agree is a hint before the vote"
    assert (sorted(shown[:2]), shown[2]) == (["No.", "Yes."], "")
    assert [button["visible"] for button in page.steps[-1][3:6]] == [True, True, False]
    with pytest.raises(gr.Error, match="not on the ballot"):
        page.vote("C is best", id)
    page.vote("A is best" if shown[0] == "No." else "B is best", id)
    assert sorted(page.kept[0].chosen) == ["base", "dpo"]
    same = Page(base="No.", sft="No.", dpo=" No. ")
    assert same.ask() == ""
    assert cues(same.steps[-1]) == ["A: Base, Fine-tuned, DPO", "", ""]
    with pytest.raises(gr.Error, match="Ask again"):
        same.vote("A is best", "")


def test_what_gives_a_variant_away_is_flagged():
    def answer(text: str, reason: str = "<|im_end|>") -> Partial:
        return Partial(text, True, reason, 3)

    cut = {"base": answer("And so", "length"), "sft": answer(" "), "dpo": answer("Fine.")}
    assert telltale(cut) == ["base", "sft"]
    assert telltale({"base": answer("Fine.\nAnd so on", "length")}) == [], "what is shown is a whole turn"
    assert telltale({"base": answer("User: what?"), "sft": answer("The user is <|im"), "dpo": answer("A user.")}) == [
        "base", "sft",
    ]  # fmt: skip


def test_a_stopped_comparison_has_no_ballot():
    page = Page()
    stream = page.comparing.blind(page.request, "Who?", *KNOBS)
    next(stream), next(stream)
    stream.close()
    assert page.engine.closed
    assert not page.ballots._open
