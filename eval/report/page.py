"""Self-contained HTML report: one file that needs nothing beside it: no script, no other host, figures within."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REPORT_TEMPLATE = Path(__file__).with_name("report.html.jinja")


def render_report(**values: Any) -> str:
    """Renders the template. What models, films and people wrote is escaped: text and nothing else.

    Args:
        **values: what the template asks for, in the comment at its top.
    """
    import jinja2
    from markdown_it import MarkdownIt
    from markupsafe import Markup

    markdown = MarkdownIt("gfm-like", {"linkify": False, "html": False, "breaks": True})
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["zip"] = zip
    environment.filters["markdown"] = lambda text: Markup(scrolling_tables(markdown.render(text)))
    return environment.from_string(REPORT_TEMPLATE.read_text("utf-8")).render(**values)


def scrolling_tables(html: str) -> str:
    """HTML with each table in a scrolling frame, so that a phone shows the page at its width."""
    framed = html.replace("<table>", '<div class="wide" tabindex="0" role="region" aria-label="table"><table>')
    return framed.replace("</table>", "</table></div>")


def data_urls(pictures: Mapping[str, Path]) -> dict[str, str]:
    """Data URLs of PNGs, by name."""
    return {
        name: f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}" for name, path in pictures.items()
    }
