"""A source of dialogue in a recipe: where it is, how it is read, how much of it is taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

TURN_COLUMNS = ({"messages"}, {"prompt", "reply"}, {"text", "conversation"})
"""What `columns` may name the turns of a row by; one of the three."""
OTHER_COLUMNS = ("speaker", "film", "film_id", "year", "rating", "votes", "genres", "script_url")


@dataclass(frozen=True)
class Source:
    """One corpus. In a recipe its path alone will do."""

    path: str
    """A corpus of a form that docs/data.md lists: zip, folder, file, http address, or a Hub dataset."""
    name: str | None = None
    """What its rows say in `source`; null takes the corpus's own name."""
    weight: float = 1.0
    """How often its train pairs are taken: 2 takes each twice, 0.5 half of the conversations (by hash)."""
    license: str | None = None
    """The Hub's name of the licence of its lines (apache-2.0, cc-by-4.0); null: none known, and the card says so."""
    config: str | None = None
    """Of a Hub dataset with several; of OPUS's plain text, the language to read."""
    revision: str | None = None
    """Commit of a Hub dataset; null takes today's and pins it in the lineage."""
    columns: dict[str, str] = field(default_factory=dict)
    """Of a table or Hub dataset: `messages`, or `prompt` and `reply`, or `text` and `conversation`; and `film` etc."""
    silence: float = 5.0
    """Seconds without speech that end a conversation, in subtitles with times."""

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 100:
            raise ValueError(f"weight is {self.weight}; it takes a number above 0, up to 100")
        if not 0 < self.silence <= 3600:
            raise ValueError(f"silence is {self.silence}; it takes seconds above 0, up to 3600")
        check_columns(self.columns)

    def reading_settings(self) -> dict[str, Any]:
        """How it is read where that is not as usual, for the lineage; nothing where it is."""
        return ({"columns": self.columns} if self.columns else {}) | (
            {"silence": self.silence} if self.silence != 5.0 else {}
        )


def check_columns(columns: dict[str, str]) -> None:
    """Raises ValueError where the columns that a recipe names are not such as can be read."""
    turns = [names for names in TURN_COLUMNS if names & columns.keys()]
    known = [*(name for names in TURN_COLUMNS for name in sorted(names)), *OTHER_COLUMNS]
    for name, column in columns.items():
        if name not in known:
            raise ValueError(f"columns.{name} is unknown; known here: {', '.join(known)}")
        if not isinstance(column, str):
            raise ValueError(f"columns.{name} is {column!r}; it takes the name of a column")
    if columns and (len(turns) != 1 or not turns[0] <= columns.keys()):
        raise ValueError("columns names no turns; it takes messages, or prompt and reply, or text and conversation")
