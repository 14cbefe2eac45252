"""Ballots: votes that count as what they are, once, and can be deleted; and what is published of them."""

from __future__ import annotations

import random
from types import SimpleNamespace

import gradio as gr
import pytest

from hub.votes.ballot import BAD, TIE
from space.ballots import Ballot, Ballots, NotOpen, load_earlier
from space.compare_handlers import CHOICES
from stats.bradley_terry import FIT_CLUSTERS, NoFit
from tests.support.compare_page import REVISIONS, Page


def test_every_choice_counts_as_what_it_is():
    page = Page()
    for button in CHOICES:
        page.vote(button, page.ask(line=f"Who is {button}?"))
    assert [vote.choice for vote in page.kept] == ["1", "2", "3", "tie", "bad"]
    assert [len(vote.chosen) for vote in page.kept] == [1, 1, 1, 0, 0]
    n, shares = page.ballots.standing()
    assert (n, shares[TIE].votes, shares[BAD].votes) == (5, 1, 1)
    assert sum(share.votes for share in shares.values()) == 5
    assert shares[TIE].share == pytest.approx((0.2, 0.0362, 0.6245), abs=1e-4)  # Wilson, by hand


def test_the_standing_is_of_the_default_sampling_without_a_scene():
    page = Page()
    for vary in ({"knobs": (0.8, 25, 0.95)}, {"knobs": (0.9, 5, 0.95)}, {"scene": "A station."}, {}):
        page.vote("A is best", page.ask(**vary))
    assert len(page.kept) == 4, "all are votes of the dataset"
    assert page.ballots.standing()[0] == 1
    again = Ballots(REVISIONS, print)
    again.count(type(vote).from_row(vote.to_row()) for vote in page.kept)
    assert again.standing()[0] == 1


def test_one_vote_a_line_and_rater_counts_and_all_are_in_the_dataset():
    page = Page()
    for session, address, line in (
        ("s1", "1.1.1.1", "Who?"), ("s1", "1.1.1.1", " who? "), ("s2", "1.1.1.1", "Who?"), ("s1", "1.1.1.1", "Where?"),
        ("s3", "2.2.2.2", "Who?"),
    ):  # fmt: skip
        page.request = SimpleNamespace(session_hash=session, client=(address, 1))
        page.vote("A is best", page.ask(line=line))
    assert page.ballots.standing()[0] == 3
    assert len(page.kept) == 5
    assert [len({getattr(vote, name) for vote in page.kept}) for name in ("session", "address")] == [3, 2]
    assert not any(name in str(vote) for vote in page.kept for name in ("1.1.1.1", "2.2.2.2", "'s1'", "'s3'"))
    again = Ballots(REVISIONS, print)
    again.count(page.kept)
    assert again.standing() == page.ballots.standing()


def test_win_rates_come_with_fifty_raters_and_count_a_rater_once_a_line():
    page, chance = Page(), random.Random(1)
    words = ["who?", "I", "am", "here!", "no,", "me."]
    for number in range(FIT_CLUSTERS):
        with pytest.raises(NoFit, match=f"{number} of the {FIT_CLUSTERS} raters"):
            page.ballots.win_rates()
        page.request = SimpleNamespace(session_hash=f"s{number}", client=(f"10.1.{number}.1", 1))
        for _ in range(2):
            replies = (" ".join(chance.choices(words, k=chance.randint(1, 6))) + f" {name}" for name in REVISIONS)
            page.engine.replies = dict(zip(REVISIONS, replies, strict=True))
            page.vote(chance.choice(["A is best", "B is best", "Tie"]), page.ask())
    found = page.ballots.win_rates()
    assert found.clusters == FIT_CLUSTERS
    assert found.battles == sum(3 if vote.choice == TIE else 2 for vote in page.kept[::2])
    assert set(found.rates) == {"sft over base", "dpo over base", "dpo over sft"}
    assert page.ballots.win_rates() is found, "fitted once"
    told = page.comparing.standing()
    assert f"{FIT_CLUSTERS} votes so far" in told
    assert "DPO over Fine-tuned" in told
    assert f"95% intervals by rater ({FIT_CLUSTERS})" in told


def test_a_vote_is_deleted_by_the_id_that_its_voter_was_told():
    page = Page()
    first = page.vote("A is best", page.ask())[10]
    page.vote("Tie", page.ask())
    assert page.ballots.standing()[1][TIE].votes == 0, "the first on a line counts"
    for unknown in (page.kept[0].comparison, "f" * 32, "", None):
        with pytest.raises(gr.Error, match="No vote that is known"):
            page.comparing.delete(unknown)
    id, told = page.comparing.delete(f" {first} ")
    assert (id, page.deleted) == ("", [page.kept[0].comparison])
    assert "Deleted here" in told
    assert page.ballots.standing()[1][TIE].votes == 1, "now the second one does"
    with pytest.raises(gr.Error, match="No vote that is known"):
        page.comparing.delete(first)


def test_what_is_published_is_masked():
    page = Page(base="Mail bo@example.com.", sft="Call 555-0100-22.", dpo="No.")
    page.vote("A is best", page.ask(line="Ring +49 30 1234567, ann@example.org"))
    [vote] = page.kept
    assert vote.prompt[-1]["content"] == "Ring [phone], [e-mail]"
    assert vote.replies == {"base": "Mail [e-mail].", "sft": "Call [phone].", "dpo": "No."}


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
