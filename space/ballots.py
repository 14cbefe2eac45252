"""The ballots of the Compare tab: which comparisons may be voted on, by whom, once; and how the votes stand.

A ballot is known by an id that stays on the server, belongs to the session that asked for the comparison, and is gone
when it has been voted on, has expired, or too many newer ones have come. So a vote cannot be made up from outside.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from chat.sampling import Sampling
from chat.template import Message
from hub.errors import explain
from hub.votes.ballot import BAD, TIE, Option
from hub.votes.log import VoteLog
from hub.votes.vote import Vote, votes
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
    opened: float = field(default_factory=time.monotonic)
    """Seconds on the monotonic clock."""


class Share(NamedTuple):
    """Of the votes, how many chose a variant."""

    votes: int
    share: Estimate


class Ballots:
    """Issues ballots and takes votes, from any thread. `keep` makes a vote last (`hub.votes.VoteLog.add`)."""

    def __init__(
        self,
        revisions: Mapping[str, str],
        keep: Callable[[Vote], None],
        max_open: int = MAX_OPEN_BALLOTS,
        life: float = BALLOT_SECONDS,
    ) -> None:
        self.revisions, self._keep, self._max_open, self._life = dict(revisions), keep, max_open, life
        self._open: OrderedDict[str, Ballot] = OrderedDict()
        self._choices: dict[str, tuple[str, ...]] = {}  # variants chosen, or (TIE,) or (BAD,), by comparison
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

    def _find(self, id: str, session: str) -> Ballot:
        self._forget()
        ballot = self._open.get(id)
        if ballot is None or ballot.session != session:
            raise NotOpen
        return ballot

    def count(self, votes: Iterable[Vote]) -> None:
        """Takes votes into the standing, those on these very models, each comparison once."""
        found = {
            vote.comparison: tuple(vote.chosen) or (vote.choice,) for vote in votes if vote.revisions == self.revisions
        }
        with self._lock:
            self._choices |= found

    def standing(self) -> tuple[int, dict[str, Share]]:
        """How many votes there are, and how many of them chose each variant, TIE or BAD; no shares without votes."""
        with self._lock:
            counts = Counter(name for chosen in self._choices.values() for name in chosen)
            n = len(self._choices)
        names = [*self.revisions, TIE, BAD] if n else []
        return n, {name: Share(counts[name], wilson_interval(counts[name], n)) for name in names}

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
        comparison=id,
        time=time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()),
        prompt=ballot.prompt,
        replies=ballot.replies,
        shown=[list(option.variants) for option in ballot.shown],
        choice=choice,
        chosen=list(numbered[choice].variants) if choice in numbered else [],
        revisions=revisions,
        sampling=vars(ballot.sampling),
    )


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
