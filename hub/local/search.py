"""Search API: listings of repositories, filtered, sorted, with the fields that clients ask for."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.local.card import front_matter
from hub.local.errors import HubError
from hub.local.json_shapes import Json, expanded, info, sibling
from hub.local.paging import paginate
from hub.local.request import is_true, path_part, require_field, require_reader, store_of, user_of
from hub.local.store import TYPES, Store

SORTS = ("lastModified", "createdAt", "downloads", "likes", "trendingScore")
FULL = ("siblings", "cardData", "sha", "lastModified", "author")
"""Fields that a listing of models has only where it is asked for them (`full`, `expand`, `cardData`)."""


def list_repos(request: Request) -> Response:
    """The repositories of a type that match the query, sorted and in pages."""
    type, query = path_part(request, "types").removesuffix("s"), request.query_params
    if type not in TYPES:
        raise HubError(404, "NotFound", "Not found")
    sort = query.get("sort")
    if sort not in (None, *SORTS):
        raise HubError(400, "BadRequest", f"cannot sort by '{sort}', but by {', '.join(SORTS)}")
    words = [word.lower() for word in query.getlist("search")]
    found = []
    for name in visible_names(request, type):
        if all(word in name.lower() for word in words) and query.get("author") in (None, name.split("/")[0]):
            entry = _entry(store_of(request), type, name)
            if _matches(entry, request):
                found.append(entry)
    if sort:
        found.sort(key=lambda entry: entry.get(sort) or 0, reverse=query.get("direction") != "1")
    return paginate(request, [_listed_fields(entry, type, request) for entry in found], 1000)


def visible_names(request: Request, type: str) -> list[str]:
    """Names of the repositories that this visitor may know of."""
    store, known = store_of(request), user_of(request) is not None
    return [name for name in store.names(type) if known or not store.settings(type, name)["private"]]


def _entry(store: Store, type: str, name: str) -> Json:
    with store.open(type, name) as repo:
        commit = repo.commit_at("main")
        siblings = [sibling(file, blobs=False) for file in repo.files(commit)]
        return info(name, commit, front_matter(repo), store.settings(type, name), siblings)


def _matches(entry: Json, request: Request) -> bool:
    query, card = request.query_params, entry["cardData"]
    tags = {str(tag).lower() for tag in entry["tags"]}
    return (
        all(tag.lower() in tags for tag in query.getlist("filter"))
        and query.get("pipeline_tag") in (None, entry["pipeline_tag"])
        and all(_names_any(card, kind, query.getlist(kind)) for kind in ("models", "datasets"))
        and (not is_true(query.get("linked")) or bool(card.get("models") or card.get("datasets")))
    )


def _names_any(card: Json, kind: str, wanted: list[str]) -> bool:
    """Whether a Space's card names one of these models or datasets."""
    return not wanted or any(name in wanted for name in card.get(kind) or [])


def _listed_fields(entry: Json, type: str, request: Request) -> Json:
    query = request.query_params
    if "expand" in query or "expand[]" in query:
        return expanded(entry, query)
    if is_true(query.get("full")):
        return entry
    hidden = (
        {"siblings"} if type != "model" else set(FULL) - ({"cardData"} if is_true(query.get("cardData")) else set())
    )
    return {key: content for key, content in entry.items() if key not in hidden}


def overview(request: Request) -> Response:
    """What is known of a user or an organization: how much of each there is."""
    name = path_part(request, "user")
    counts = {f"num{type.capitalize()}s": _count(request, type, name) for type in TYPES}
    if not any(counts.values()) and name not in (user_of(request),):
        raise HubError(404, "NotFound", f"User not found: {name}")
    profile = {
        "user": name,
        "name": name,
        "fullname": name,
        "avatarUrl": "",
        "type": "user",
        "isPro": False,
        "orgs": [],
    }
    return JSONResponse(profile | counts)


def _count(request: Request, type: str, namespace: str) -> int:
    return sum(name.split("/")[0] == namespace for name in visible_names(request, type))


def storage(request: Request) -> Response:
    """Every repository of a namespace with the bytes of its newest commit (`list_user_repos`)."""
    store, namespace = store_of(request), path_part(request, "user") or require_reader(request).user
    require_reader(request)
    rows: list[dict[str, Any]] = []
    for type in TYPES:
        for name in store.names(type):
            if name.split("/")[0] != namespace:
                continue
            with store.open(type, name) as repo:
                commit = repo.commit_at("main")
                entry = info(name, commit, {}, store.settings(type, name), [])
                size = sum(file.size for file in repo.files(commit))
            visibility = "private" if entry["private"] else "public"
            row = {"id": name, "type": type, "updatedAt": entry["lastModified"], "visibility": visibility}
            rows.append(row | {"storage": size})
    total = sum(require_field(row, "storage", int) for row in rows) or 1
    return paginate(request, [row | {"storagePercent": row["storage"] / total} for row in rows], 1000)
