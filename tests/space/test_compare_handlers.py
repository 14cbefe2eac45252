"""The Compare tab's handlers and the ballots behind it, with an engine that reads from a script."""

from __future__ import annotations

from types import SimpleNamespace

import gradio as gr
import pytest

from hub.votes.ballot import BAD, TIE
from space.ballots import Ballot, Ballots, NotOpen, load_earlier
from space.compare_handlers import CHOICES, CompareHandlers
from tests.support.script_engine import Script

REVISIONS = {"base": "a" * 40, "sft": "b" * 40, "dpo": "c" * 40}
KNOBS = (0.9, 25, 0.95)


class Page:
    """One visitor's Compare tab: its session, and what the last stream left on it."""

    def __init__(self, session: str = "s1", ballots: Ballots | None = None, **replies: str) -> None:
        self.kept = []
        self.ballots = ballots or Ballots(REVISIONS, self.kept.append)
        self.engine = Script(**(replies or {"base": "One.", "sft": "Two two.", "dpo": "Three."}))
        self.comparing = CompareHandlers(self.engine, 1, self.ballots)
        self.request = SimpleNamespace(session_hash=session)

    def ask(self, seed: int | None = None) -> str:
        """Returns the id of the ballot."""
        self.steps = list(self.comparing.blind(self.request, "Who?", *KNOBS, seed))
        return self.steps[-1][6]

    def vote(self, button: str, id: str) -> list:
        return self.comparing.vote(self.request, button, id)


def test_the_endpoint_is_one_batch_of_three_in_the_order_of_the_variants():
    engine = Script(base="a b c", sft="d", dpo="e f")
    *_, last = CompareHandlers(engine, 1, Ballots(REVISIONS, print)).compare("Who?", *KNOBS, 7)
    assert last[:3] == ["a b c", "d", "e f"]
    assert ["3 tokens" in last[3], "1 token." in last[4], "2 tokens" in last[5]] == [True] * 3
    [(prompts, names, _)] = engine.asked
    assert names == ["base", "sft", "dpo"]
    assert prompts[0] == prompts[1] == prompts[2]
    assert engine.seed == 7
    assert len(list(CompareHandlers(engine, 1, Ballots(REVISIONS, print)).compare(" ", *KNOBS))) == 1


def test_a_comparison_is_blind_until_the_vote():
    page = Page()
    id = page.ask()
    *streamed, last = page.steps[1:]
    assert sorted(streamed[-1][:3]) == ["One.", "Three.", "Two two."]
    assert [box["value"] for box in last[:3]] == streamed[-1][:3], "what streamed in a column stays in it"
    assert [box["label"] for box in last[:3]] == ["A", "B", "C"]
    assert all("token" not in str(part) for step in page.steps for part in step), "how it ended gives a variant away"
    told = page.vote("B is best", id)
    [vote] = page.kept
    assert (vote.choice, vote.chosen) == ("2", vote.shown[1])
    assert vote.replies == {"base": "One.", "sft": "Two two.", "dpo": "Three."}
    assert (vote.revisions, vote.sampling["top_k"]) == (REVISIONS, 25)
    assert [box["label"].split(": ")[1] for box in told[:3]] == [
        {"base": "Base", "sft": "Fine-tuned", "dpo": "DPO"}[variants[0]] for variants in vote.shown
    ]
    assert all("token" in note for note in told[3:6])
    assert told[6] == ""
    assert "1 vote so far" in told[8]


def test_the_order_is_shuffled_for_every_comparison():
    page = Page()
    orders = set()
    for _ in range(60):
        page.ask()
        orders.add(tuple(box["value"] for box in page.steps[-1][:3]))
    assert len(orders) == 6


def test_equal_replies_are_one_option_and_all_equal_are_no_ballot():
    page = Page(base="No.", sft="Yes.", dpo="No.")
    id = page.ask()
    shown = [box["value"] for box in page.steps[-1][:3]]
    assert (sorted(shown[:2]), shown[2], page.steps[-1][2]["visible"]) == (["No.", "Yes."], "", False)
    with pytest.raises(gr.Error, match="not on the ballot"):
        page.vote("C is best", id)
    page.vote("A is best" if shown[0] == "No." else "B is best", id)
    assert sorted(page.kept[0].chosen) == ["base", "dpo"]
    same = Page(base="No.", sft="No.", dpo=" No. ")
    assert same.ask() == ""
    assert same.steps[-1][0]["label"] == "A: Base, Fine-tuned, DPO"
    with pytest.raises(gr.Error, match="Ask again"):
        same.vote("A is best", "")


def test_every_choice_counts_as_what_it_is():
    page = Page()
    for button in CHOICES:
        page.vote(button, page.ask())
    assert [vote.choice for vote in page.kept] == ["1", "2", "3", "tie", "bad"]
    assert [len(vote.chosen) for vote in page.kept] == [1, 1, 1, 0, 0]
    n, shares = page.ballots.standing()
    assert (n, shares[TIE].votes, shares[BAD].votes) == (5, 1, 1)
    assert sum(share.votes for share in shares.values()) == 5
    assert shares[TIE].share == pytest.approx((0.2, 0.0362, 0.6245), abs=1e-4)  # Wilson, by hand


def test_nobody_votes_twice_or_for_another_or_on_what_was_not_issued():
    page = Page()
    other = Page("s2", page.ballots)
    id = page.ask()
    for visitor, button, given in (
        (other, "A is best", id), (page, "A is best", "f" * 32), (page, "A is best", ""), (page, "D is best", id),
        (page, "", id), (page, "1", id),
    ):  # fmt: skip
        with pytest.raises(gr.Error):
            visitor.vote(button, given)
    page.vote("A is best", id)
    with pytest.raises(gr.Error, match="voted on already"):
        page.vote("A is best", id)
    revealed = page.ask()
    assert "voted" not in str(page.comparing.reveal(page.request, revealed))
    with pytest.raises(gr.Error):
        page.vote("A is best", revealed)
    assert len(page.kept) == 1


def test_a_stopped_comparison_has_no_ballot():
    page = Page()
    stream = page.comparing.blind(page.request, "Who?", *KNOBS)
    next(stream), next(stream)
    stream.close()
    assert page.engine.closed
    assert not page.ballots._open


def test_a_vote_that_cannot_be_kept_is_not_counted_and_may_be_tried_again():
    full, kept = [True], []

    def keep(vote):
        if full[0]:
            raise OSError("disk full")
        kept.append(vote)

    page = Page(ballots=Ballots(REVISIONS, keep))
    id = page.ask()
    with pytest.raises(gr.Error, match="try again"):
        page.vote("A is best", id)
    assert page.ballots.standing() == (0, {})
    full[0] = False
    page.vote("A is best", id)
    assert len(kept) == 1


def ballot(session: str = "s") -> Ballot:
    from chat.sampling import Sampling
    from hub.votes.ballot import Option

    return Ballot(session, [], {}, [Option("a", ("base",)), Option("b", ("sft",))], {}, Sampling())


def test_ballots_are_bounded_and_expire():
    ballots = Ballots(REVISIONS, print, max_open=3)
    for number in range(5):
        ballots.issue(str(number), ballot())
    assert list(ballots._open) == ["2", "3", "4"]
    with pytest.raises(NotOpen):
        ballots.vote("0", "s", "1")
    short = Ballots(REVISIONS, print, life=0)
    short.issue("1", ballot())
    with pytest.raises(NotOpen):
        short.vote("1", "s", "1")


def test_earlier_votes_count_once_and_those_on_other_models_do_not(hub_url, namespace, tmp_path, capsys):
    from hub.votes.log import VoteLog
    from space.ballots import as_vote

    log = VoteLog(f"{namespace}/repartee-votes", tmp_path, every=600)
    load_earlier(Ballots(REVISIONS, print), log)
    assert capsys.readouterr().out == "", "no dataset yet is no trouble"
    log.add(as_vote("1", ballot(), "1", REVISIONS))
    log.push()
    log.add(as_vote("2", ballot(), "tie", REVISIONS))
    log.add(as_vote("3", ballot(), "1", {**REVISIONS, "dpo": "d" * 40}))
    ballots = Ballots(REVISIONS, log.add)
    load_earlier(ballots, log)
    n, shares = ballots.standing()
    assert (n, shares["base"].votes, shares[TIE].votes) == (2, 1, 1)
    log.close()
