"""The typed row of the votes dataset, and reading it from the Hub."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from hub.errors import UserError

FOLDER = "data"
"""Of the dataset: one JSON Lines file for each process of the page."""


@dataclass(frozen=True)
class Vote:
    """One row of the votes dataset: a visitor's blind choice in one comparison. Nothing in it says who voted."""

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
        return cls(**{field.name: found[field.name] for field in fields(cls)})


def votes(repo: str, revision: str | None = None) -> list[Vote]:
    """Reads every vote of a dataset, oldest file first, each comparison once.

    Args:
        repo: Hub id of the dataset.
        revision: branch, tag or commit; main where it is not given.

    Raises:
        UserError: a line is no vote.
        RepositoryNotFoundError, HfHubHTTPError, httpx2.TransportError: as snapshot_download does.
    """
    from huggingface_hub import snapshot_download

    folder = snapshot_download(repo, repo_type="dataset", revision=revision, allow_patterns=f"{FOLDER}/*.jsonl")
    found = (vote for path in sorted(Path(folder, FOLDER).glob("*.jsonl")) for vote in votes_in_file(path))
    return list({vote.comparison: vote for vote in found}.values())


def votes_in_file(path: Path) -> Iterator[Vote]:
    """Reads one JSON Lines file; a last line that was cut off while it was written is no vote.

    Raises:
        UserError: a whole line is no vote.
    """
    for number, line in enumerate(whole_lines(path.read_bytes()).splitlines(), start=1):
        try:
            vote = Vote.from_row(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path.name}, line {number} is no vote ({error!r}); take it out of the dataset") from error
        yield vote


def whole_lines(content: bytes) -> bytes:
    """The lines of a file that end in a newline."""
    return content[: content.rfind(b"\n") + 1]
