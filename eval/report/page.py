"""The report as one HTML file that needs nothing beside it: no script, no other host, figures within."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup

TEMPLATE = Path(__file__).with_name("report.html.jinja")
_MARKDOWN = MarkdownIt("gfm-like", {"linkify": False, "html": False, "breaks": True})


def render(**values: Any) -> str:
    """Fills the template. What models, films and people wrote is shown as text and does nothing else.

    Args:
        values: what the template asks for, in the comment at its top.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["markdown"] = lambda text: Markup(scrolling(_MARKDOWN.render(text)))
    return environment.from_string(TEMPLATE.read_text("utf-8")).render(**values)


def scrolling(html: str) -> str:
    """Tables scroll in a frame of their own, so that a phone shows the page at its width."""
    framed = html.replace("<table>", '<div class="wide" tabindex="0" role="region" aria-label="table"><table>')
    return framed.replace("</table>", "</table></div>")


def data_addresses(pictures: Mapping[str, Path]) -> dict[str, str]:
    """PNGs by name as addresses that hold them."""
    return {
        name: f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}" for name, path in pictures.items()
    }
