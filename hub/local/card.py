"""Repository card: README.md, and the YAML front matter at its head."""

from __future__ import annotations

import yaml

from hub.local import json_shapes
from hub.local.repository import Repository


def card_of(repo: Repository, revision: str = "main") -> str:
    """The README of a revision, or nothing."""
    commit = repo.commit_at(revision)
    readme = repo.file(commit, "README.md")
    return repo.content(readme).decode("utf-8", "replace") if readme else ""


def front_matter(repo: Repository, revision: str = "main") -> json_shapes.Json:
    """What the card of a revision says in YAML; nothing where that cannot be read, as on the real Hub."""
    try:
        return json_shapes.card_data(card_of(repo, revision))
    except yaml.YAMLError:  # committed past `validate-yaml`
        return {}
