"""A blind vote as a typed row, and reading the published dataset of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.errors import UserError

Row = dict[str, Any]


FOLDER = "data"  # of the dataset


@dataclass(frozen=True)
class Vote:
    """What one visitor said of one comparison. Nothing in it says who, or when to the second."""

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


def votes(repo: str, revision: str | None = None) -> list[Row]:
    """Every vote in a dataset, a dictionary with the fields of `Vote` each, oldest file first.

    Args:
        revision: branch, tag or commit; main where it is not given.

    Raises:
        UserError: a line is no vote.
        RepositoryNotFoundError, HfHubHTTPError, httpx2.TransportError: as snapshot_download does.
    """
    from huggingface_hub import snapshot_download

    folder = snapshot_download(repo, repo_type="dataset", revision=revision, allow_patterns=f"{FOLDER}/*.jsonl")
    rows = (row for path in sorted(Path(folder, FOLDER).glob("*.jsonl")) for row in rows_of(path))
    return list({row["comparison"]: row for row in rows}.values())


def rows_of(path: Path) -> Iterator[Row]:
    """The rows of one file; a last line that was cut off while it was written is no row."""
    for number, line in enumerate(whole_lines(path.read_bytes()).splitlines(), start=1):
        try:
            row = json.loads(line)
            row["comparison"], row["chosen"], row["revisions"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path.name}, line {number} is no vote ({error!r}); take it out of the dataset") from error
        yield row


def whole_lines(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]
