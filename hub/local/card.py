"""Repository card: README.md, and the YAML front matter at its head."""

from __future__ import annotations

import re
from importlib import metadata
from importlib.util import find_spec

import yaml

from hub.local import json_shapes
from hub.local.repository import Repository

CARD_FILE = "README.md"


def new_space_metadata(name: str, sdk: str) -> json_shapes.Json:
    """Front matter of a new Space's README, as the real Hub writes it."""
    words = re.sub(r"[-_.]+", " ", name.split("/")[1]).title()
    version = {"sdk_version": metadata.version("gradio")} if sdk == "gradio" and find_spec("gradio") else {}
    app = {"app_file": "app.py"} if sdk == "gradio" else {}
    look = {"title": words, "emoji": "\N{CLAPPER BOARD}", "colorFrom": "blue", "colorTo": "gray"}
    return {**look, "sdk": sdk, **version, **app, "pinned": False}


def card_of(repo: Repository, revision: str = "main") -> str:
    """The README of a revision, or nothing."""
    commit = repo.commit_at(revision)
    readme = repo.file(commit, CARD_FILE)
    return repo.content(readme).decode("utf-8", "replace") if readme else ""


def front_matter(repo: Repository, revision: str = "main") -> json_shapes.Json:
    """What the card of a revision says in YAML; nothing where that cannot be read, as on the real Hub."""
    try:
        return json_shapes.card_data(card_of(repo, revision))
    except yaml.YAMLError:  # of a Hub that did not look at it
        return {}
