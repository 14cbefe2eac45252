"""What the Compare tab does: the same line to all variants, blind, and a vote on what they said."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gradio as gr

from chat.generate import FinishReason, Partial, first_turn
from chat.template import Message, build_prompt
from chat.variants import VARIANTS
from hub.votes.ballot import BAD, TIE, Option, options
from space.ballots import Ballot, Ballots, NotOpen
from space.chat_handlers import MAX_SEED, ending, in_scene, streamed, visitor_line, visitor_sampling
from space.conversation import VARIANT_LABELS
from space.pseudonyms import Pseudonyms
from space.script_page import Bar, column_reply, panel, remark
from space.session_owners import network_of
from stats.bradley_terry import NoFit

if TYPE_CHECKING:
    from chat.engine.local import LocalEngine
    from chat.engine.openai_server import RemoteEngine

LETTERS = "ABC"
CHOICES = {f"{letter} is best": str(number) for number, letter in enumerate(LETTERS, start=1)}
CHOICES |= {"Tie": TIE, "All bad": BAD}
"""What stands on a button, and the choice that it is."""
BALLOT_QUESTION = (
    "Which is the best next line? The names come after the vote (keys: 1 2 3, T for a tie, B for all bad). A vote "
    "publishes your line, the scene if you gave one, and the replies, without your name; e-mail addresses and phone "
    "numbers are masked before. It can be deleted again."
)
THANKS = "Thank you. The id of your vote is {}: whoever has it can delete the vote, below."
DELETED = "Deleted here; the dataset follows within minutes. What was published stays in the dataset's history."
STANDING_NOTE = (
    "Chosen as best, with the default sampling and no scene; equal replies are chosen together. 95% intervals."
)
WIN_RATES_NOTE = (
    "50% is even. By Bradley-Terry with {} and a tie as half a win for either; 95% intervals by rater ({:,})."
)
GONE = gr.update(visible=False)
BUTTONS_GONE = [GONE] * len(LETTERS)


@dataclass(frozen=True)
class CompareHandlers:
    """What the Compare tab does when it is asked; `engine` streams, `ballots` keeps what may be voted on."""

    engine: LocalEngine | RemoteEngine
    context_turns: int
    ballots: Ballots
    variants: tuple[str, ...] = VARIANTS
    """Those that answer here; a page of two leaves the third column empty."""
    pseudonyms: Pseudonyms = field(default_factory=Pseudonyms)

    def blind(
        self,
        request: gr.Request,
        message: str,
        temperature: float,
        top_k: int,
        top_p: float,
        scene: str = "",
    ) -> Iterator[Any]:
        """Answers one line in all variants without saying which is which.

        The seed is the server's: one that the visitor knew would tell them apart. Streams a reply and a button for
        each column, then the id of the ballot, its further choices, what is said below it, what may be done
        afterwards, and the id of the latest vote.
        """
        line = visitor_line(message)
        if not line:
            yield gr.skip()
            return
        prompt = in_scene(build_prompt([{"role": "user", "content": line}], self.context_turns), scene)
        sampling, id = visitor_sampling(temperature, top_k, top_p), self.ballots.new_id()
        seed = secrets.randbelow(MAX_SEED)
        order = options({variant: variant for variant in self.variants}, id)
        yield [*columns(order, dict.fromkeys(self.variants, "")), *BUTTONS_GONE, "", GONE, "", GONE, gr.skip()]
        replies, notes, row = dict.fromkeys(self.variants, ""), dict.fromkeys(self.variants, ""), list[Partial]()
        for replies, notes, row in self.stream(prompt, sampling, seed):  # noqa: B007 - the last are the whole ones
            yield [*columns(order, replies), *[gr.skip()] * (len(LETTERS) + 5)]
        on_ballot = options(replies, id)
        if len(on_ballot) == 1:
            said = remark("All said the same: there is nothing to choose.")
            yield [*named(on_ballot, notes), *BUTTONS_GONE, "", GONE, said, gr.update(visible=True), gr.skip()]
            return
        session, tokens = str(request.session_hash), [answer.tokens for answer in row]
        ballot = Ballot(
            session, prompt, replies, on_ballot, notes, sampling, seed, dict(zip(self.variants, tokens, strict=True)),
            telltale(dict(zip(self.variants, row, strict=True))), self.rater(request),
        )  # fmt: skip
        self.ballots.issue(id, ballot)
        buttons = [gr.update(visible=place < len(on_ballot)) for place in range(len(LETTERS))]
        replies_shown = columns(on_ballot, {option.variants[0]: option.text for option in on_ballot})
        yield [*replies_shown, *buttons, id, gr.update(visible=True), remark(BALLOT_QUESTION), GONE, gr.skip()]

    def vote(self, request: gr.Request, button: str, id: str) -> list[Any]:
        """Counts a vote on the session's ballot; returns what `blind` streams last, with the names."""
        session = str(request.session_hash)
        return self.close(lambda: self.ballots.vote(id, session, CHOICES.get(button, "")), THANKS.format(id), id)

    def reveal(self, request: gr.Request, id: str) -> list[Any]:
        """Shows the names without a vote; returns what `vote` returns."""
        return self.close(lambda: self.ballots.reveal(id, str(request.session_hash)), "")

    def delete(self, id: str) -> tuple[str, str]:
        """Deletes the vote with this id, which its voter was told. Returns an empty id, and what is said below."""
        try:
            self.ballots.delete(id or "")
        except NotOpen:
            raise vote_error("No vote that is known here has this id. It was told after the vote.") from None
        except OSError:
            raise vote_error("The vote could not be deleted just now. Please try again.") from None
        return "", remark(DELETED) + self.standing()

    def rater(self, request: gr.Request) -> tuple[str, str]:
        """Pseudonyms of a visitor's session and address, for a day."""
        address = network_of(getattr(request, "client", None))
        return self.pseudonyms.of("session", str(request.session_hash)), self.pseudonyms.of("address", address)

    def close(self, take: Callable[[], Ballot], thanks: str, id: str | None = None) -> list[Any]:
        """Closes a ballot and names its columns. Raises gr.Error where `take` finds no such ballot or choice."""
        try:
            ballot = take()
        except NotOpen:
            raise vote_error("This comparison has been voted on already, or is too old. Ask again.") from None
        except ValueError:
            raise vote_error("That is not on the ballot.") from None
        except OSError:
            raise vote_error("The vote could not be kept just now. Please try again.") from None
        below = (remark(thanks) if thanks else "") + self.standing()
        return [
            *named(ballot.shown, ballot.notes),
            *BUTTONS_GONE,
            "",
            GONE,
            below,
            gr.update(visible=True),
            id or gr.skip(),
        ]

    def standing(self) -> str:
        """HTML: how the votes on these very models stand (default sampling, no scene), with 95% intervals."""
        n, shares = self.ballots.standing()
        if not n:
            return remark("No vote on these models yet, with the default sampling and no scene.")
        names = {**VARIANT_LABELS, TIE: "Tie", BAD: "All bad"}
        bars = [
            Bar(names[name], *share, f"{share.value:.0%} ({share.low:.0%} to {share.high:.0%})")
            for name, (_, share) in shares.items()
        ]
        votes = "1 vote" if n == 1 else f"{n:,} votes"
        return panel(f"{votes} so far", bars, STANDING_NOTE, 1.0) + self.win_rates()

    def win_rates(self) -> str:
        """HTML: who wins against whom at equal style, or why that is not known."""
        try:
            found = self.ballots.win_rates()
        except NoFit as error:
            return remark(f"No win rates at equal length, echo and punctuation: {error}.", quiet=True)
        bars = []
        for pair, rate in found.rates.items():
            later, earlier = (VARIANT_LABELS[name] for name in pair.split(" over "))
            text = f"{rate.value:.0%} ({rate.low:.0%} to {rate.high:.0%})"
            bars.append(Bar(f"{later} over {earlier}", *rate, text))
        return panel(
            "Win rates, were both replies alike in style",
            bars,
            WIN_RATES_NOTE.format(", ".join(found.style), found.clusters),
            1.0,
        )

    def stream(
        self, prompt: list[Message], sampling: Any, seed: int
    ) -> Iterator[tuple[dict[str, str], dict[str, str], list[Partial]]]:
        """Streams the first turn of each reply and the notes, by variant, and the answers; a stop closes it.

        A base that does not know where its turn ends would be known by its length.
        """
        started, variants = time.perf_counter(), list(self.variants)
        notes = dict.fromkeys(variants, "")
        with closing(streamed(self.engine, prompt, variants, sampling, seed)) as answers:
            for row in answers:
                answer: Partial
                for variant, answer in zip(variants, row, strict=True):
                    notes[variant] = notes[variant] or ending(answer, time.perf_counter() - started)
                texts = {variant: first_turn(answer.text) for variant, answer in zip(variants, row, strict=True)}
                yield texts, notes, row


def telltale(answers: Mapping[str, Partial]) -> list[str]:
    """Variants whose answer may give them away: empty, cut off, with marks of a chat, or with turns of others."""

    def odd(answer: Partial) -> bool:
        shown = first_turn(answer.text)
        return (
            not shown.strip()
            or (answer.finish_reason == FinishReason.LENGTH and shown == answer.text)
            or re.search(r"<\||\b(assistant|user|system)\b\s*:", shown, re.IGNORECASE) is not None
        )

    return [variant for variant, answer in answers.items() if odd(answer)]


def columns(on_ballot: list[Option], texts: Mapping[str, str]) -> list[str]:
    """The reply of each column, under its letter alone; nothing in a column without an option."""
    found = [
        column_reply(LETTERS[place], texts[option.variants[0]], "", False) for place, option in enumerate(on_ballot)
    ]
    return found + [""] * (len(LETTERS) - len(found))


def named(on_ballot: list[Option], notes: Mapping[str, str]) -> list[str]:
    """As `columns`, with the names, the notes, and how many said the same."""
    found = []
    for place, option in enumerate(on_ballot):
        names = ", ".join(VARIANT_LABELS[variant] for variant in VARIANT_LABELS if variant in option.variants)
        found.append(column_reply(f"{LETTERS[place]}: {names}", option.text, notes[option.variants[0]], True))
    return found + [""] * (len(LETTERS) - len(found))


def vote_error(reason: str) -> gr.Error:
    """An error that the page shows as a toast, without a traceback in the log."""
    return gr.Error(reason, title="Vote", print_exception=False)
