"""The ballots of the Compare tab: which comparisons may be voted on, by whom, once; and how the votes stand.

A ballot is known by an id that stays on the server, belongs to the session that asked for the comparison, and is gone
when it has been voted on, has expired, or too many newer ones have come. So a vote cannot be made up from outside.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from chat.sampling import Sampling
from chat.template import SYSTEM_PROMPT, Message
from hub.errors import explain
from hub.votes.ballot import BAD, TIE, Option, hash_of
from hub.votes.log import VoteLog
from hub.votes.masking import mask_contacts
from hub.votes.vote import Vote, votes
from stats.bradley_terry import Battle, WinRates, battles_of, win_rates
from stats.intervals import Estimate, wilson_interval

MAX_OPEN_BALLOTS = 10_000  # ballots open at one time
BALLOT_SECONDS = 3600.0  # seconds that a ballot stays open


class NotOpen(Exception):
    """There is no such ballot for this session: unknown, voted on, expired, or somebody else's."""


@dataclass(frozen=True)
class Ballot:
    """A finished comparison, as it was shown."""

    session: str
    prompt: list[Message]
    replies: dict[str, str]
    """By variant."""
    shown: list[Option]
    notes: dict[str, str]
    """On how each variant ended; they would give a variant away, and so come after the vote."""
    sampling: Sampling
    seed: int | None = None
    tokens: Mapping[str, int] = field(default_factory=dict)
    """By variant."""
    telltale: Sequence[str] = ()
    """Variants whose reply may have given them away."""
    rater: tuple[str, str] = ("", "")
    """Pseudonyms of the session and of the address."""
    opened: float = field(default_factory=time.monotonic)
    """Seconds on the monotonic clock."""


class Counted(NamedTuple):
    """A vote in the standing."""

    rater_and_line: tuple[str, str]
    chosen: tuple[str, ...]
    """Variants, or (TIE,) or (BAD,)."""
    battles: tuple[Battle, ...]


class Share(NamedTuple):
    """Of the votes, how many chose a variant."""

    votes: int
    share: Estimate


class Ballots:
    """Issues ballots and takes votes, from any thread.

    `keep` makes a vote last and `drop` deletes the one on a comparison (`VoteLog.add` and `delete`).
    """

    def __init__(
        self,
        revisions: Mapping[str, str],
        keep: Callable[[Vote], None],
        drop: Callable[[str], None] | None = None,
        max_open: int = MAX_OPEN_BALLOTS,
        life: float = BALLOT_SECONDS,
    ) -> None:
        self.revisions, self._keep, self._drop, self._max_open, self._life = dict(revisions), keep, drop, max_open, life
        self._open: OrderedDict[str, Ballot] = OrderedDict()
        self._counted: dict[str, Counted | None] = {}  # by comparison; None of one that is not of the standing
        self._fitted: tuple[list[Counted], WinRates] | None = None
        self._lock = threading.Lock()

    @staticmethod
    def new_id() -> str:
        """A new random ballot id, 128 bits in hexadecimal."""
        return secrets.token_hex(16)

    def issue(self, id: str, ballot: Ballot) -> None:
        """Opens a ballot under an id of `new_id`."""
        with self._lock:
            self._forget()
            self._open[id] = ballot

    def reveal(self, id: str, session: str) -> Ballot:
        """Closes a ballot without a vote, and returns it. Raises NotOpen."""
        with self._lock:
            ballot = self._find(id, session)
            del self._open[id]
            return ballot

    def vote(self, id: str, session: str, choice: str) -> Ballot:
        """Counts a vote: the number of an option from "1", "tie" or "bad". Returns its ballot, which is closed.

        Raises:
            NotOpen: there is no such ballot for this session.
            ValueError: the choice was not on it, which leaves it open.
            OSError: the vote could not be kept, which leaves the ballot open too.
        """
        with self._lock:
            ballot = self._find(id, session)
            vote = as_vote(id, ballot, choice, self.revisions)
            self._keep(vote)
            del self._open[id]
        self.count([vote])
        return ballot

    def delete(self, id: str) -> None:
        """Deletes the vote that was given on the ballot with this id, which only its voter was told.

        Raises:
            NotOpen: no vote that is known here has this id.
            OSError: the deletion could not be kept.
        """
        comparison = comparison_of(id.strip())
        with self._lock:
            if self._drop is None or comparison not in self._counted:
                raise NotOpen
            self._drop(comparison)
            del self._counted[comparison]

    def _find(self, id: str, session: str) -> Ballot:
        self._forget()
        ballot = self._open.get(id)
        if ballot is None or ballot.session != session:
            raise NotOpen
        return ballot

    def count(self, votes: Iterable[Vote]) -> None:
        """Takes votes into the standing: on these very models, of answers as the page draws them.

        Answers of another sampling, or in a scene, are of another question.
        """
        found = {vote.comparison: self._as_counted(vote) for vote in votes}
        with self._lock:
            self._counted |= found

    def _as_counted(self, vote: Vote) -> Counted | None:
        if vote.revisions != self.revisions or vote.sampling != vars(Sampling()) or has_scene(vote):
            return None
        shown = [variant for variant in self.revisions if variant in vote.replies]
        battles = battles_of(vote.chosen, shown, vote.styles(), vote.rater)
        return Counted(vote.rater_and_line, tuple(vote.chosen) or (vote.choice,), tuple(battles))

    def standing(self) -> tuple[int, dict[str, Share]]:
        """How many votes there are, and how many of them chose each variant, TIE or BAD; no shares without votes."""
        first = self._first_votes()
        counts = Counter(name for one in first for name in one.chosen)
        n = len(first)
        names = [*self.revisions, TIE, BAD] if n else []
        return n, {name: Share(counts[name], wilson_interval(counts[name], n)) for name in names}

    def win_rates(self) -> WinRates:
        """Win rates of each two variants at equal style, by the same votes. Raises NoFit."""
        first = self._first_votes()
        if self._fitted is None or self._fitted[0] != first:
            self._fitted = first, win_rates([battle for one in first for battle in one.battles], list(self.revisions))
        return self._fitted[1]

    def _first_votes(self) -> list[Counted]:
        """Of several votes of one address on one line in one day, the first."""
        with self._lock:
            first: dict[tuple[str, str], Counted] = {}
            for one in filter(None, self._counted.values()):
                first.setdefault(one.rater_and_line, one)
        return list(first.values())

    def _forget(self) -> None:
        """Drops what has expired, and the oldest while there are too many. Ids are in the order of their issue."""
        too_old = time.monotonic() - self._life
        while self._open:
            first = next(iter(self._open.values()))
            if len(self._open) < self._max_open and first.opened > too_old:
                return
            self._open.popitem(last=False)


def as_vote(id: str, ballot: Ballot, choice: str, revisions: dict[str, str]) -> Vote:
    """The row that is kept of a vote. Raises ValueError for a choice that was not on the ballot."""
    numbered = {str(number): option for number, option in enumerate(ballot.shown, start=1)}
    if choice not in (*numbered, TIE, BAD):
        raise ValueError(f"{choice!r} is not on the ballot")
    return Vote(
        comparison=comparison_of(id),
        time=time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()),
        prompt=[{**turn, "content": mask_contacts(turn["content"])} for turn in ballot.prompt],
        replies={variant: mask_contacts(reply) for variant, reply in ballot.replies.items()},
        shown=[list(option.variants) for option in ballot.shown],
        choice=choice,
        chosen=list(numbered[choice].variants) if choice in numbered else [],
        revisions=revisions,
        sampling=vars(ballot.sampling),
        seed=ballot.seed,
        tokens=dict(ballot.tokens),
        telltale=list(ballot.telltale),
        session=ballot.rater[0],
        address=ballot.rater[1],
    )


def comparison_of(id: str) -> str:
    """The published id of a comparison: a hash of its ballot's, so that who reads the dataset can delete no vote."""
    return hash_of("comparison", id)[:32]


def has_scene(vote: Vote) -> bool:
    """Whether the system prompt of a comparison held a scene, or was another than ours."""
    return any(turn["role"] == "system" and turn["content"] != SYSTEM_PROMPT for turn in vote.prompt)


def load_earlier(ballots: Ballots, log: VoteLog) -> None:
    """Counts the votes of the dataset and of this disk; a Hub in trouble costs the standing, not the page."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        ballots.count(log.votes())
        ballots.count(votes(log.repo))
    except RepositoryNotFoundError:
        return  # nobody has voted yet
    except Exception as error:
        reason = explain(error) or f"{type(error).__name__}: {error}"
        print(f"votes: the standing is without earlier ones ({reason})", flush=True)
