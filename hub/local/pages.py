"""HTML pages: what is published, each repository's card, files and history, and collections. No script on any."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from hub.local import markdown
from hub.local.card import card_of, front_matter
from hub.local.collections_api import collection_at, collections, visible_collection
from hub.local.errors import HubError
from hub.local.files import File
from hub.local.json_shapes import commit as commit_json
from hub.local.json_shapes import tags, timestamp
from hub.local.paging import query_number
from hub.local.repository import Repository
from hub.local.request import open_repo, path_part, repo_path, require_reader, store_of, target
from hub.local.search import visible_names
from hub.local.space_state import runtime_of
from hub.local.store import TYPES

_WEB = Path(__file__).parent / "web"
_TEMPLATES = Environment(
    loader=FileSystemLoader(_WEB), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_TEMPLATES.filters["size"] = lambda size: next(
    f"{size / unit:,.1f} {name}" if unit > 1 else f"{size} bytes"
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, ""))
    if size >= unit or unit == 1
)
_TEMPLATES.filters["path"] = lambda path: quote(path, safe="/")
_TEMPLATES.filters["part"] = lambda part: quote(part, safe="")
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
MAX_SHOWN_BYTES = 256 * 1024  # bytes of a text file that a page shows
COMMITS_PER_PAGE = 50  # on a page of history
MAX_CHANGES = 50  # files of a commit whose difference is shown
IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".webp")


def render_page(template: str, status: int = 200, headers: dict[str, str] | None = None, **values: Any) -> HTMLResponse:
    """Renders a template of `web/`, with headers that let nothing on the page act."""
    return HTMLResponse(_TEMPLATES.get_template(template).render(values), status, SECURITY_HEADERS | (headers or {}))


def error(status: int, message: str, headers: dict[str, str]) -> Response:
    """What went wrong, for a person; with 401 also what to do."""
    if status == 401:
        message = "There is nothing here, or it is private: sign in with any name, and a token as the password."
    return render_page("error.html", status, headers, number=status, message=message)


def sign_in(request: Request) -> Response:
    """Lets a browser ask for a token, which it then sends to every page: they show the private repositories too."""
    try:
        require_reader(request)
    except HubError:  # none, or one that nobody knows: the page stands behind the question, and says what to answer
        return render_page("sign_in.html", 401, {"WWW-Authenticate": 'Basic realm="the local Hub"'})
    return RedirectResponse("/")


def icon(request: Request) -> Response:
    """None, which browsers ask for all the same."""
    return Response(status_code=204)


def style(request: Request) -> Response:
    """The style sheet of all pages."""
    return FileResponse(_WEB / "style.css", media_type="text/css")


def start_page(request: Request) -> Response:
    """Every repository by type, and the collections; of one namespace where the address names it."""
    namespace, store = path_part(request, "user"), store_of(request)
    lists: dict[str, list[dict[str, Any]]] = {}
    for type in TYPES:
        lists[type] = []
        for name in visible_names(request, type):
            if namespace in ("", name.split("/")[0]):
                with store.open(type, name) as repo:
                    when = timestamp(repo.commit_at("main").commit_time)[:16].replace("T", " ")
                private = store.settings(type, name)["private"]
                lists[type].append({"name": name, "repo_path": repo_path(type, name), "when": when, "private": private})
        lists[type].sort(key=lambda row: row["when"], reverse=True)
    families = [found for found in collections(request) if namespace in ("", found["owner"]["name"])]
    if namespace and not (families or any(lists.values())):
        raise HubError(404, "NotFound", f"nothing here is of {namespace}")
    return render_page("start.html", namespace=namespace, lists=lists, collections=families)


def frame_of(request: Request, tab: str) -> dict[str, Any]:
    """What the head of every page of a repository needs."""
    (type, name), revision = target(request), path_part(request, "rev") or "main"
    private = store_of(request).settings(type, name)["private"]
    where = {"type": type, "name": name, "repo_path": repo_path(type, name), "revision": revision, "private": private}
    return where | {"tab": tab, "url": str(request.base_url).rstrip("/")}


def repository(request: Request) -> Response:
    """The card, rendered, beside what it says of itself."""
    frame = frame_of(request, "card")
    with open_repo(request) as repo:
        data = front_matter(repo)
        text = markdown.render(markdown.body_of(card_of(repo)), frame["repo_path"], "main")
        refs = [ref for ref, _ in repo.refs() if ref.startswith("refs/tags/")]
    runtime = None
    if frame["type"] == "space":
        runtime = runtime_of(store_of(request), request.app.state.runner, frame["name"], frame["url"])
    return render_page(
        "card.html", card=text, tags=tags(data), versions=[ref[10:] for ref in refs], runtime=runtime, **frame
    )


def tree(request: Request) -> Response:
    """The files and folders in a folder."""
    frame, below = frame_of(request, "files"), path_part(request, "path").strip("/")
    with open_repo(request) as repo:
        commit = repo.commit_at(frame["revision"])
        start = f"{below}/" if below else ""
        inside = [file for file in repo.files(commit) if file.path.startswith(start)]
    if below and not inside:
        raise HubError(404, "EntryNotFound", f"there is no folder {below}")
    folders = sorted({file.path[len(start) :].split("/")[0] for file in inside if "/" in file.path[len(start) :]})
    files = [file for file in inside if "/" not in file.path[len(start) :]]
    return render_page("files.html", below=below, folders=folders, files=files, sha=commit.id.decode(), **frame)


def blob(request: Request) -> Response:
    """One file: text as it is, Markdown rendered, a picture; of anything else its size and address."""
    frame, path = frame_of(request, "files"), path_part(request, "path")
    with open_repo(request) as repo:
        file = repo.file(repo.commit_at(frame["revision"]), path)
        if file is None:
            raise HubError(404, "EntryNotFound", f"there is no file {path}")
        text = _text(repo, file)
    rendered = None
    if text is not None and path.endswith(".md"):
        folder = path.rpartition("/")[0]
        rendered = markdown.render(markdown.body_of(text), frame["repo_path"], frame["revision"], folder)
    picture = path.lower().endswith(IMAGES)
    return render_page("file.html", file=file, text=text, rendered=rendered, picture=picture, **frame)


def history(request: Request) -> Response:
    """The commits of a branch, tag or sha, newest first."""
    frame, first = frame_of(request, "history"), query_number(request, "from", 0)
    with open_repo(request) as repo:
        made = [commit_json(commit) for commit in repo.history(repo.commit_at(frame["revision"]))]
    more = first + COMMITS_PER_PAGE if first + COMMITS_PER_PAGE < len(made) else None
    return render_page(
        "history.html", commits=made[first : first + COMMITS_PER_PAGE], count=len(made), more=more, **frame
    )


def commit(request: Request) -> Response:
    """What one commit changed, line by line where it is text."""
    frame = frame_of(request, "history")
    with open_repo(request) as repo:
        made = repo.commit_at(frame["revision"])
        parent = repo.commit_at(made.parents[0].decode()) if made.parents else None
        before = {file.path: file for file in repo.files(parent)} if parent else {}
        after = {file.path: file for file in repo.files(made)}
        changed = [
            path
            for path in sorted(before.keys() | after.keys())
            if (before[path].blob if path in before else None) != (after[path].blob if path in after else None)
        ]
        changes = [_change(repo, path, before.get(path), after.get(path)) for path in changed[:MAX_CHANGES]]
    return render_page(
        "commit.html", commit=commit_json(made), changes=changes, hidden=len(changed) - len(changes), **frame
    )


def _change(repo: Repository, path: str, old: File | None, new: File | None) -> dict[str, Any]:
    texts = [_text(repo, file) if file else "" for file in (old, new)]
    kind = "added" if old is None else "deleted" if new is None else "changed"
    lines: list[str] | None = None
    if texts[0] is not None and texts[1] is not None:
        lines = list(difflib.unified_diff(texts[0].splitlines(), texts[1].splitlines(), lineterm="", n=3))[2:]
    return {"path": path, "kind": kind, "lines": lines, "old": old, "new": new}


def _text(repo: Repository, file: File) -> str | None:
    """The content of a file that is text, and short enough to show."""
    if file.large or file.size > MAX_SHOWN_BYTES:
        return None
    try:
        text = repo.content(file).decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def collection(request: Request) -> Response:
    """A collection's repositories, with their notes."""
    found = visible_collection(request, json.loads(collection_at(request).read_text()))
    items = [
        item | {"repo_path": repo_path(item["type"], item["id"]) if item["type"] in TYPES else None}
        for item in found["items"]
    ]
    return render_page("collection.html", collection=found, items=items)
