"""The page of a repository's lineage: what it was made from, down to the corpus, as a tree of links."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hub.lineage import LINEAGE_FILE, Lineage
from hub.local.errors import HubError
from hub.local.pages import frame_of, render_page
from hub.local.request import open_repo, repo_path, store_of
from hub.local.search import visible_names
from hub.local.store import TYPES

MAX_DEPTH = 20  # inputs of inputs; a lineage that names itself ends here


def lineage_page(request: Request) -> Response:
    """The tree of a repository at a revision, as far as its inputs are on this Hub and the visitor may see them."""
    frame = frame_of(request, "lineage")
    with open_repo(request) as repo:
        repo.commit_at(frame["revision"])  # or there is no such page
    visible = {type: set(visible_names(request, type)) for type in TYPES}
    root = node(request, visible, frame["type"], frame["name"], frame["revision"])
    return render_page("lineage.html", root=root if root["stage"] else None, **frame)


def node(
    request: Request, visible: dict[str, set[str]], type: str, name: str, revision: str, depth: int = 0
) -> dict[str, Any]:
    """One artifact: its name, commit, stage, address and inputs; without an address where it is not to be seen here."""
    here: dict[str, Any] = {"type": type, "name": name, "sha": revision, "stage": "", "address": None, "inputs": []}
    if name not in visible.get(type, ()):
        return here
    try:
        with store_of(request).open(type, name) as repo:
            commit = repo.commit_at(revision)
            file = repo.file(commit, LINEAGE_FILE)
            here |= {"sha": commit.id.decode(), "address": f"{repo_path(type, name)}/tree/{commit.id.decode()}"}
            if file is None:
                return here
            lineage = Lineage.from_json(repo.content(file).decode())
    except (HubError, KeyError, TypeError, ValueError):  # a commit that is gone, or a lineage.json of somebody else's
        return here
    inputs = [
        node(request, visible, source.type, source.repo, source.revision, depth + 1)
        for source in lineage.inputs
        if depth < MAX_DEPTH
    ]
    return here | {"stage": lineage.stage, "inputs": inputs}
