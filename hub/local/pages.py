"""Two plain pages for people: what is published, and one repository with its card, files and history."""

from __future__ import annotations

from html import escape

from starlette.responses import HTMLResponse

from hub.local.store import File

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "pre{white-space:pre-wrap;border:1px solid #8884;border-radius:6px;padding:1rem}"
    "td{padding:.1rem 1rem .1rem 0;overflow-wrap:anywhere}h1{font-size:1.4rem}h2{font-size:1.1rem}"
)


def start_page(names: dict[str, list[str]]) -> HTMLResponse:
    """Lists every repository by type."""
    parts = []
    for type, found in names.items():
        items = "".join(f'<li><a href="{address(type, name)}">{escape(name)}</a></li>' for name in found)
        parts.append(f"<h2>{type.capitalize()}s</h2><ul>{items or '<li>none yet</li>'}</ul>")
    return _page("The local Hub", "".join(parts))


def repository_page(type: str, name: str, card: str, files: list[File], history: list[tuple[str, str]]) -> HTMLResponse:
    """Shows the card as it is written, the files with sizes, and the commits."""
    rows = "".join(
        f'<tr><td><a href="{address(type, name)}/resolve/main/{escape(file.path)}">{escape(file.path)}</a></td>'
        f"<td>{file.size:,} bytes{', large' if file.large else ''}</td></tr>"
        for file in files
    )
    commits = "".join(f"<tr><td><code>{sha[:12]}</code></td><td>{escape(title)}</td></tr>" for sha, title in history)
    return _page(
        f"{type} {name}",
        f'<p><a href="/">all repositories</a></p><h2>Card</h2><pre>{escape(card)}</pre>'
        f"<h2>Files</h2><table>{rows}</table><h2>History</h2><table>{commits}</table>",
    )


def address(type: str, name: str) -> str:
    return ("" if type == "model" else f"/{type}s") + f"/{escape(name)}"


def _page(title: str, body: str) -> HTMLResponse:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style><h1>{escape(title)}</h1>{body}</html>"
    )
