"""Collections: one JSON file each, below `collections/` in the data folder."""

from __future__ import annotations

import json
import re
import secrets
import time
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.local.disk import write_durably
from hub.local.errors import HubError
from hub.local.request import body_of, field, part, store_of, user_of, writer
from hub.local.shapes import moment


async def create(request: Request) -> Response:
    """Makes a collection; a second one of the same title in a namespace is refused, and its slug told."""
    user, body = writer(request), await body_of(request)
    title, owner = field(body, "title"), body.get("namespace") or user
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    folder = _folder(request, owner)
    with store_of(request).lock(folder):
        for path in folder.glob(f"{words}-*.json"):
            if json.loads(path.read_text())["title"] == title:
                request.state.body = {"slug": f"{owner}/{path.stem}"}
                raise HubError(409, "Conflict", f"You already created this collection: {owner}/{path.stem}")
        folder.mkdir(parents=True, exist_ok=True)
        slug = f"{words}-{secrets.token_hex(12)}"
        made = {
            "slug": f"{owner}/{slug}",
            "title": title,
            "description": body.get("description"),
            "owner": {"name": owner},
            "private": bool(body.get("private")),
            "items": [],
        }
        return _saved(folder / f"{slug}.json", made)


def get(request: Request) -> Response:
    return JSONResponse(json.loads(_path(request).read_text()))


async def add_item(request: Request) -> Response:
    writer(request)
    body = await body_of(request)
    wanted = field(body, "item", dict)
    path = _path(request)
    with store_of(request).lock(path):
        collection = json.loads(path.read_text())
        name, kind = field(wanted, "id"), field(wanted, "type")
        if any((item["id"], item["type"]) == (name, kind) for item in collection["items"]):
            raise HubError(409, "Conflict", f"{name} is in this collection already")
        item = {"_id": secrets.token_hex(12), "id": name, "type": kind, "position": len(collection["items"])}
        collection["items"].append(item | ({"note": {"text": body["note"]}} if body.get("note") else {}))
        return _saved(path, collection)


def _saved(path: Path, collection: dict[str, Any]) -> Response:
    collection |= {"lastUpdated": moment(int(time.time())), "position": 0, "theme": "blue", "upvotes": 0}
    write_durably(path, json.dumps(collection).encode())
    return JSONResponse(collection)


def _folder(request: Request, owner: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9_][\w.-]*", owner):
        raise HubError(400, "InvalidNamespace", f"'{owner}' is not a namespace")
    return store_of(request).root / "collections" / owner


def _path(request: Request) -> Path:
    slug = part(request, "slug")
    path = _folder(request, part(request, "ns")) / f"{slug}.json"
    if not re.fullmatch(r"[a-z0-9-]+", slug) or not path.exists():
        raise HubError(404, "NotFound", "Collection not found")
    if json.loads(path.read_text())["private"] and user_of(request) is None:
        raise HubError(404, "NotFound", "Collection not found")
    return path
