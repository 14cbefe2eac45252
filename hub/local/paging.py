"""Pagination: each page has a `Link` to the next one (RFC 8288), as huggingface_hub follows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.local.errors import HubError


def paginate(request: Request, items: Sequence[Any], size: int, largest: int = 1000) -> Response:
    """The part of `items` that the request's `cursor` and `limit` mean; `size` is the page where it names none."""
    start, limit = query_number(request, "cursor", 0), min(query_number(request, "limit", size), largest)
    headers = {}
    if limit and start + limit < len(items):
        following = request.url.include_query_params(cursor=start + limit)
        headers["Link"] = f'<{following}>; rel="next"'
    return JSONResponse(list(items[start : start + limit]), headers=headers)


def query_number(request: Request, name: str, default: int, digits: int = 9) -> int:
    """A number in the query, of at most so many digits.

    Raises:
        HubError: it is not one.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isdecimal() or len(text) > digits:
        raise HubError(400, "BadRequest", f"'{name}' is '{text[:20]}', not a number")
    return int(text)
