"""What the Compare tab does: the same line to all three variants, blind, and a vote on what they said."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from chat.generate import Partial
from chat.template import Message, build_prompt
from hub.votes.ballot import BAD, TIE, Option, options
from space.ballots import Ballot, Ballots, NotOpen
from space.chat_handlers import VARIANT_LABELS, ending, in_scene, seed_of, streamed, visitor_line, visitor_sampling

if TYPE_CHECKING:
    from chat.engine.local import LocalEngine
    from chat.engine.openai_server import RemoteEngine

LETTERS = "ABC"
CHOICES = {f"{letter} is best": str(number) for number, letter in enumerate(LETTERS, start=1)}
CHOICES |= {"Tie": TIE, "All bad": BAD}
"""What stands on a button, and the choice that it is."""
BALLOT_QUESTION = (
    "Which is the best next line? The names come after the vote. A vote publishes your line, the scene if you "
    "gave one, and the replies, without your name."
)


@dataclass(frozen=True)
class CompareHandlers:
    """What the Compare tab does when it is asked; `engine` streams, `ballots` keeps what may be voted on."""

    engine: LocalEngine | RemoteEngine
    context_turns: int
    ballots: Ballots

    def compare(
        self, message: str, temperature: float, top_k: int, top_p: float, seed: int | None = None, scene: str = ""
    ) -> Iterator[Any]:
        """Answer one line of dialogue with all three variants, in one batch.

        Returns the replies of base, sft and dpo, then a note for each on how it ended. A seed makes them repeatable, a
        scene joins the system prompt.
        """
        line = visitor_line(message)
        if not line:
            yield gr.skip()
            return
        prompt, sampling = self.prompt(line, scene), visitor_sampling(temperature, top_k, top_p)
        for replies, notes in self.stream(prompt, sampling, seed_of(seed)):
            yield [*replies.values(), *notes.values()]

    def blind(
        self,
        request: gr.Request,
        message: str,
        temperature: float,
        top_k: int,
        top_p: float,
        seed: int | None = None,
        scene: str = "",
    ) -> Iterator[Any]:
        """Answer one line in all variants without saying which is which.

        Streams a box and a note for each column, then the id of the ballot, the ballot, and what is said below it.
        """
        line = visitor_line(message)
        if not line:
            yield gr.skip()
            return
        prompt, sampling, id = (
            self.prompt(line, scene),
            visitor_sampling(temperature, top_k, top_p),
            self.ballots.new_id(),
        )
        order = options({variant: variant for variant in VARIANT_LABELS}, id)
        yield [*boxes(order, ""), *[""] * len(LETTERS), "", gr.update(visible=False), ""]
        replies, notes = dict.fromkeys(VARIANT_LABELS, ""), dict.fromkeys(VARIANT_LABELS, "")
        for replies, notes in self.stream(prompt, sampling, seed_of(seed)):  # noqa: B007 - the last are the whole ones
            yield [*(replies[option.variants[0]] for option in order), *[gr.skip()] * (len(LETTERS) + 3)]
        on_ballot = options(replies, id)
        if len(on_ballot) == 1:
            message_below = "All three said the same: there is nothing to choose."
            yield [*boxes(on_ballot, named=True), *below(on_ballot, notes), "", gr.skip(), message_below]
            return
        self.ballots.issue(id, Ballot(str(request.session_hash), prompt, replies, on_ballot, notes, sampling))
        yield [*boxes(on_ballot), *[gr.skip()] * len(LETTERS), id, gr.update(visible=True), BALLOT_QUESTION]

    def vote(self, request: gr.Request, button: str, id: str) -> list[Any]:
        """Counts a vote on the session's ballot; returns what `blind` streams last, with the names."""
        session = str(request.session_hash)
        return self.close(lambda: self.ballots.vote(id, session, CHOICES.get(button, "")), "Thank you. ")

    def reveal(self, request: gr.Request, id: str) -> list[Any]:
        """Shows the names without a vote; returns what `vote` returns."""
        return self.close(lambda: self.ballots.reveal(id, str(request.session_hash)), "")

    def close(self, take: Callable[[], Ballot], thanks: str) -> list[Any]:
        """Closes a ballot and names its columns. Raises gr.Error where `take` finds no such ballot or choice."""
        try:
            ballot = take()
        except NotOpen:
            raise vote_error("This comparison has been voted on already, or is too old. Ask again.") from None
        except ValueError:
            raise vote_error("That is not on the ballot.") from None
        except OSError:
            raise vote_error("The vote could not be kept just now. Please try again.") from None
        named = [*boxes(ballot.shown, named=True), *below(ballot.shown, ballot.notes)]
        return [*named, "", gr.update(visible=False), thanks + self.standing()]

    def standing(self) -> str:
        """Markdown: how the votes on these very models stand, with 95% intervals."""
        n, shares = self.ballots.standing()
        if not n:
            return "No vote on these models yet."
        names = {**VARIANT_LABELS, TIE: "Tie", BAD: "All bad"}
        shares_text = [
            f"{names[name]} {share.value:.0%} ({share.low:.0%} to {share.high:.0%})"
            for name, (_, share) in shares.items()
        ]
        votes = "1 vote" if n == 1 else f"{n:,} votes"
        return f"{votes} so far, chosen as best (equal replies are chosen together): {', '.join(shares_text)}."

    def prompt(self, line: str, scene: str) -> list[Message]:
        """Builds the prompt of one line, with the scene if there is one."""
        return in_scene(build_prompt([{"role": "user", "content": line}], self.context_turns), scene)

    def stream(
        self, prompt: list[Message], sampling: Any, seed: int | None
    ) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
        """Streams the replies and the notes, each by variant; a stop closes it."""
        started, variants = time.perf_counter(), list(VARIANT_LABELS)
        notes = dict.fromkeys(variants, "")
        with closing(streamed(self.engine, prompt, variants, sampling, seed)) as answers:
            for row in answers:
                answer: Partial
                for variant, answer in zip(variants, row, strict=True):
                    notes[variant] = notes[variant] or ending(answer, time.perf_counter() - started)
                yield {variant: answer.text for variant, answer in zip(variants, row, strict=True)}, notes


def boxes(on_ballot: list[Option], text: str | None = None, named: bool = False) -> list[Any]:
    """The box of each column, with its option's reply or another text; a column without an option is hidden."""
    filled = [
        gr.update(value=option.text if text is None else text, label=title(place, option, named), visible=True)
        for place, option in enumerate(on_ballot)
    ]
    return filled + [gr.update(value="", visible=False)] * (len(LETTERS) - len(filled))


def below(on_ballot: list[Option], notes: Mapping[str, str]) -> list[str]:
    """The note of each column."""
    found = [notes[option.variants[0]] for option in on_ballot]
    return found + [""] * (len(LETTERS) - len(found))


def title(place: int, option: Option, named: bool) -> str:
    """What stands above a column."""
    names = ", ".join(VARIANT_LABELS[variant] for variant in VARIANT_LABELS if variant in option.variants)
    if named:
        return f"{LETTERS[place]}: {names}"
    return LETTERS[place] if len(option.variants) == 1 else f"{LETTERS[place]} ({len(option.variants)} of them)"


def vote_error(reason: str) -> gr.Error:
    """An error that the page shows as a toast, without a traceback in the log."""
    return gr.Error(reason, title="Vote", print_exception=False)
