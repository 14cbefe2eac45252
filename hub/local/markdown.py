"""Markdown rendering, safe to show: no scripts, no raw HTML but <details>, links that stay in the repository."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from html import escape
from typing import Any
from urllib.parse import quote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

_PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
"""Knows raw HTML for what it is, so that `_raw` can show it as text; javascript: and data: links it refuses itself."""


FOLDED = re.compile(r"&lt;(details|/details|summary|/summary)&gt;")
"""Raw HTML that is passed on: what a card folds away, by tags without attributes."""


def _raw(renderer: Any, tokens: list[Token], index: int, options: Any, env: Any) -> str:
    """Raw HTML as the text that it is, but for what folds; comments, which hold no text, not at all."""
    return FOLDED.sub(r"<\1>", escape(re.sub(r"<!--.*?-->", "", tokens[index].content, flags=re.DOTALL)))


def _scrolling(html: str) -> str:
    """Tables and code may be wider than the page, and so can be scrolled by keyboard."""
    wide = html.replace("<table>", '<div class="scrolls" tabindex="0" role="region" aria-label="Table"><table>')
    return wide.replace("</table>", "</table></div>").replace("<pre>", '<pre tabindex="0">')


_PARSER.add_render_rule("html_block", _raw)
_PARSER.add_render_rule("html_inline", _raw)


def body_of(card: str) -> str:
    """A card without its YAML."""
    return re.sub(r"\A\ufeff?---[ \t]*\r?\n.*?\r?\n---[ \t]*(\r?\n|\Z)", "", card, count=1, flags=re.DOTALL)


def render(text: str, repo_path: str, revision: str, folder: str = "") -> str:
    """HTML of a Markdown file in `folder` of the repository at `repo_path` (`/datasets/NAME`)."""
    tokens = _PARSER.parse(text)
    for token in _all(tokens):
        aligned = token.attrs.pop("style", None)  # of a table's column; a page has no inline styles
        if aligned:
            token.attrSet("class", str(aligned).removeprefix("text-align:"))
        for attribute, view in (("src", "resolve"), ("href", "blob")):
            target = token.attrGet(attribute)
            if isinstance(target, str) and _is_relative(target):
                path = posixpath.normpath(posixpath.join("/", folder, target))  # cannot climb above the root
                token.attrSet(attribute, f"{repo_path}/{view}/{quote(revision, safe='')}{path}")
    return _scrolling(_PARSER.renderer.render(tokens, _PARSER.options, {}))


def _is_relative(target: str) -> bool:
    parts = urlsplit(target)
    return not (parts.scheme or parts.netloc or target.startswith(("#", "/")))


def _all(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _all(token.children or [])
