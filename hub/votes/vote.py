"""The typed row of the votes dataset, and reading it from the Hub."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from hub.errors import UserError
from stats.style import Style, style_of

FOLDER = "data"
"""Of the dataset: one JSON Lines file for each process of the page."""
DELETED_FOLDER = "deleted"
"""Of the dataset: the comparisons whose votes were deleted, one JSON Lines file for each process that was told so."""


@dataclass(frozen=True)
class Vote:
    """One row of the votes dataset: a visitor's blind choice in one comparison.

    Nothing in it says who voted; e-mail addresses and phone numbers are masked.
    """

    comparison: str
    """Id that the server gave it."""
    time: str
    """UTC, to the minute: 2026-01-31T18:05Z."""
    prompt: list[dict[str, str]]
    """Messages, as the models read them."""
    replies: dict[str, str]
    """By variant."""
    shown: list[list[str]]
    """The options in the order shown; each names the variants that gave this same reply."""
    choice: str
    """"1", "2", ... for an option; "tie" or "bad" for none of them."""
    chosen: list[str]
    """The variants behind the choice; none for a tie or for "bad"."""
    revisions: dict[str, str]
    """Full commit sha by variant."""
    sampling: dict[str, float]
    seed: int | None = None
    """Which the server drew; it was not told before the vote."""
    tokens: dict[str, int] = field(default_factory=dict)
    """By variant, of the whole reply; what was shown is its first turn."""
    telltale: list[str] = field(default_factory=list)
    """Variants whose reply may have given them away: empty, cut off, with marks of a chat, or with turns of others."""
    session: str = ""
    """Pseudonym of the visitor's session, for one day."""
    address: str = ""
    """Pseudonym of the address, for one day; how often it has voted can be counted."""

    @property
    def rater(self) -> str:
        """Who gave it, as far as is known: an address for one day, else this comparison's nobody."""
        return self.address or self.comparison

    @property
    def rater_and_line(self) -> tuple[str, str]:
        """What a vote counts once for: of several by one rater on one line, the first."""
        return self.rater, " ".join(self.prompt[-1]["content"].casefold().split()) if self.prompt else ""

    def styles(self) -> dict[str, Style]:
        """Style of each reply, by variant."""
        lines = [turn["content"] for turn in self.prompt if turn["role"] != "system"]
        return {variant: style_of(reply, lines) for variant, reply in self.replies.items()}

    def to_row(self) -> dict[str, Any]:
        """The row as it is published, in the order of the columns."""
        return asdict(self)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Vote:
        """Reads a published row.

        Columns that are not ours are dropped. Comparison, chosen and revisions must be there; any other column that a
        row lacks is empty.

        Raises:
            KeyError, TypeError: it is no vote.
        """
        empty: dict[str, Any] = {"time": "", "prompt": [], "replies": {}, "shown": [], "choice": "", "sampling": {}}
        found = {**empty, **row}
        needed = [one.name for one in fields(cls) if one.default is MISSING and one.default_factory is MISSING]
        return cls(**{one.name: found[one.name] for one in fields(cls) if one.name in needed or one.name in found})


def votes(repo: str, revision: str | None = None) -> list[Vote]:
    """Reads every vote of a dataset that was not deleted, oldest file first, each comparison once.

    Args:
        repo: Hub id of the dataset.
        revision: branch, tag or commit; main where it is not given.

    Raises:
        UserError: a line is no vote.
        RepositoryNotFoundError, HfHubHTTPError, httpx2.TransportError: as snapshot_download does.
    """
    from huggingface_hub import snapshot_download

    patterns = [f"{name}/*.jsonl" for name in (FOLDER, DELETED_FOLDER)]
    folder = Path(snapshot_download(repo, repo_type="dataset", revision=revision, allow_patterns=patterns))
    gone = {id for path in (folder / DELETED_FOLDER).glob("*.jsonl") for id in deleted_in(path.read_bytes())}
    found = (vote for path in sorted((folder / FOLDER).glob("*.jsonl")) for vote in votes_in_file(path))
    return list({vote.comparison: vote for vote in found if vote.comparison not in gone}.values())


def votes_in_file(path: Path) -> Iterator[Vote]:
    """Reads one JSON Lines file; a last line that was cut off while it was written is no vote, nor is a deletion.

    Raises:
        UserError: a whole line is no vote.
    """
    for number, line in enumerate(whole_lines(path.read_bytes()).splitlines(), start=1):
        if deleted_in(line + b"\n"):
            continue
        try:
            vote = Vote.from_row(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path.name}, line {number} is no vote ({error!r}); take it out of the dataset") from error
        yield vote


def deletion_line(comparison: str) -> bytes:
    """The line of a file that deletes the vote on a comparison."""
    return json.dumps({"deleted": comparison}).encode() + b"\n"


def deleted_in(content: bytes) -> set[str]:
    """The comparisons that the deletions among the whole lines of a file name."""
    lines = (line for line in whole_lines(content).splitlines() if line.startswith(b'{"deleted": "'))
    return {str(json.loads(line)["deleted"]) for line in lines}


def without_deleted(content: bytes, gone: Collection[str]) -> bytes:
    """The votes of a file's content, byte for byte, but for deletions and for those that were deleted."""
    kept = []
    for line in whole_lines(content).splitlines(keepends=True):
        if deleted_in(line) or (gone and json.loads(line).get("comparison") in gone):
            continue
        kept.append(line)
    return b"".join(kept)


def whole_lines(content: bytes) -> bytes:
    """The lines of a file that end in a newline."""
    return content[: content.rfind(b"\n") + 1]
