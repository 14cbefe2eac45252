"""Collections API: handlers over one JSON file each, below `collections/` in the data folder."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.local.disk import sync_folder, write_durably
from hub.local.errors import HubError
from hub.local.json_shapes import timestamp
from hub.local.paging import paginate
from hub.local.request import json_body, path_part, require_field, require_writer, store_of, user_of
from hub.local.search import visible_names
from hub.local.store import TYPES


async def create(request: Request) -> Response:
    """Makes a collection; a second one of the same title in a namespace is refused, with the slug of the first."""
    user, body = require_writer(request), await json_body(request)
    title, owner = require_field(body, "title"), body.get("namespace") or user
    folder = _folder(request, owner)
    with store_of(request).lock(folder):
        for path in folder.glob("[!.]*.json"):
            if (there := json.loads(path.read_text()))["title"] == title:
                request.state.body = {"slug": there["slug"]}
                raise HubError(409, "Conflict", f"You already created this collection: {there['slug']}")
        folder.mkdir(parents=True, exist_ok=True)
        slug = _slug(title, secrets.token_hex(12))
        made = {
            "slug": f"{owner}/{slug}",
            "title": title,
            "description": body.get("description"),
            "owner": {"name": owner},
            "private": bool(body.get("private")),
            "items": [],
            "position": 0,
            "theme": "blue",
            "upvotes": 0,
        }
        _save(folder / f"{slug}.json", made)
    return JSONResponse(made)


def _slug(title: str, id: str) -> str:
    """The words of a title and the id of the collection, which stays when its title changes."""
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    return f"{words}-{id}"


def get(request: Request) -> Response:
    """One collection, with the items that this visitor may see."""
    return JSONResponse(visible_collection(request, json.loads(collection_at(request).read_text())))


def collections(request: Request) -> list[dict[str, Any]]:
    """Those that this visitor may see, the newest change first."""
    known = user_of(request) is not None
    found = [json.loads(path.read_text()) for path in store_of(request).root.glob("collections/*/[!.]*.json")]
    seen = [visible_collection(request, entry) for entry in found if known or not entry["private"]]
    return sorted(seen, key=lambda entry: entry["lastUpdated"], reverse=True)


def visible_collection(request: Request, collection: dict[str, Any]) -> dict[str, Any]:
    """A collection without the repositories that are gone, or that this visitor may not know of."""
    known = {type: set(visible_names(request, type)) for type in TYPES}
    items = [item for item in collection["items"] if item["type"] not in TYPES or item["id"] in known[item["type"]]]
    return collection | {"items": items}


def list_collections(request: Request) -> Response:
    """Collections, of an `owner`, with an `item` (`models/NAME`); of their items the first four, as on the real Hub."""
    query = request.query_params
    kind, _, name = query.get("item", "").partition("/")
    found = []
    for entry in collections(request):
        items = {(item["type"] + "s", item["id"]) for item in entry["items"]}
        if query.get("owner") in (None, entry["owner"]["name"]) and (not name or (kind, name) in items):
            del entry["position"]  # which orders this listing
            found.append(entry | {"items": entry["items"][:4]})
    return paginate(request, found, 100)


async def change(request: Request) -> Response:
    """Changes title, description, privacy, theme or position; the old address stays good beside that of a new title."""
    require_writer(request)
    body = await json_body(request)
    with _changing(request) as collection:
        collection |= {
            key: body[key] for key in ("title", "description", "private", "theme", "position") if key in body
        }
        owner, id = collection["owner"]["name"], collection["slug"].rsplit("-", 1)[1]
        collection["slug"] = f"{owner}/{_slug(str(collection['title']), id)}"
    return JSONResponse({"success": True, "data": collection})


def remove(request: Request) -> Response:
    """Deletes a collection."""
    require_writer(request)
    path = collection_at(request)
    with store_of(request).lock(path):
        path.unlink()
        sync_folder(path.parent)
    return Response()


async def add_item(request: Request) -> Response:
    """Adds a repository, or something of the real Hub alone, at the end of a collection."""
    require_writer(request)
    body = await json_body(request)
    wanted = require_field(body, "item", dict)
    with _changing(request) as collection:
        name, kind = require_field(wanted, "id"), require_field(wanted, "type")
        if any((item["id"], item["type"]) == (name, kind) for item in collection["items"]):
            raise HubError(409, "Conflict", f"{name} is in this collection already")
        if kind in TYPES:
            store_of(request).existing(kind, name)
        item = {"_id": secrets.token_hex(12), "id": name, "type": kind, "position": len(collection["items"])}
        collection["items"].append(item | ({"note": _note(body)} if body.get("note") else {}))
    return JSONResponse(collection)


async def change_item(request: Request) -> Response:
    """Changes an item's note or position; the others close up around it."""
    require_writer(request)
    body = await json_body(request)
    with _changing(request) as collection:
        items, item = collection["items"], _item(collection, path_part(request, "item"))
        if "note" in body:
            item["note"] = _note(body)
        if "position" in body:
            items.remove(item)
            items.insert(require_field(body, "position", int), item)
        _number(items)
    return JSONResponse({"success": True})


def remove_item(request: Request) -> Response:
    """Takes an item out; the others close up."""
    require_writer(request)
    with _changing(request) as collection:
        collection["items"].remove(_item(collection, path_part(request, "item")))
        _number(collection["items"])
    return JSONResponse({"success": True})


def _note(body: dict[str, Any]) -> dict[str, str]:
    """An item's note as it was written, and as HTML, which the real Hub gives beside it."""
    text = require_field(body, "note")
    return {"text": text, "html": escape(text)}


def _item(collection: dict[str, Any], id: str) -> dict[str, Any]:
    for item in collection["items"]:
        if item["_id"] == id:
            return item
    raise HubError(404, "NotFound", "This item is not in the collection")


def _number(items: list[dict[str, Any]]) -> None:
    for position, item in enumerate(items):
        item["position"] = position


@contextmanager
def _changing(request: Request) -> Iterator[dict[str, Any]]:
    path = collection_at(request)
    with store_of(request).lock(path):
        collection = json.loads(path.read_text())
        yield collection
        _save(path, collection)


def _save(path: Path, collection: dict[str, Any]) -> None:
    collection["lastUpdated"] = timestamp(int(time.time()))
    write_durably(path, json.dumps(collection).encode())


def _folder(request: Request, owner: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9_][\w.-]*", owner):
        raise HubError(400, "InvalidNamespace", f"'{owner}' is not a namespace")
    return store_of(request).root / "collections" / owner


def collection_at(request: Request) -> Path:
    """The file of the collection that the address means. Raises HubError where this visitor may not know of it."""
    slug = path_part(request, "slug")
    folder = _folder(request, path_part(request, "ns"))
    if not re.fullmatch(r"[a-z0-9-]*-[0-9a-f]{24}", slug):
        raise HubError(404, "NotFound", "Collection not found")
    path = next(folder.glob(f"*-{slug[-24:]}.json"), None)
    if path is None:
        raise HubError(404, "NotFound", "Collection not found")
    if json.loads(path.read_text())["private"] and user_of(request) is None:
        raise HubError(404, "NotFound", "Collection not found")
    return path
