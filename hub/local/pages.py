"""Two plain pages for people: what is published, and one repository with its card, files and history."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from hub.local.card import card_of
from hub.local.request import opened, place, store_of, target, user_of
from hub.local.shapes import commit, moment
from hub.local.store import TYPES

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem}"
    ":root{color-scheme:light dark}pre{white-space:pre-wrap;border:1px solid #8884;border-radius:6px;padding:1rem}"
    "td{padding:.1rem 1rem .1rem 0;overflow-wrap:anywhere}h1{font-size:1.4rem}h2{font-size:1.1rem}"
)


def start(request: Request) -> Response:
    """Lists every repository by type, the private ones for those with a token."""
    store, parts = store_of(request), []
    for type in TYPES:
        names = [n for n in store.names(type) if user_of(request) or not store.settings(type, n)["private"]]
        items = "".join(f'<li><a href="{place(type, name)}">{escape(name)}</a></li>' for name in names)
        parts.append(f"<h2>{type.capitalize()}s</h2><ul>{items or '<li>none yet</li>'}</ul>")
    return _page("The local Hub", "".join(parts))


def repository(request: Request) -> Response:
    """Shows the card as it is written, the files with their sizes, and the commits."""
    type, name = target(request)
    with opened(request) as repo:
        head, card = repo.commit_at("main"), card_of(repo)
        files = "".join(
            f'<tr><td><a href="{place(type, name)}/resolve/main/{quote(file.path)}">{escape(file.path)}</a>'
            f"</td><td>{file.size:,} bytes{', large' if file.large else ''}</td></tr>"
            for file in repo.files(head)
        )
        history = "".join(
            f"<tr><td><code>{made.id.decode()[:12]}</code></td><td>{moment(made.commit_time)[:16]}</td>"
            f"<td>{escape(commit(made)['title'])}</td></tr>"
            for made in repo.history(head)
        )
    return _page(
        f"{type} {name}",
        f'<p><a href="/">all repositories</a></p><h2>Card</h2><pre>{escape(card)}</pre>'
        f"<h2>Files</h2><table>{files}</table><h2>History</h2><table>{history}</table>",
    )


def _page(title: str, body: str) -> HTMLResponse:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style><h1>{escape(title)}</h1>{body}</html>"
    )
