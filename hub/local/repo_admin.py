"""Handlers for whole repositories: moved, duplicated, squashed, and whether one may read or write them."""

from __future__ import annotations

import json
import shutil
import time
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.local.disk import draft_of, sync_folder, write_durably
from hub.local.errors import HubError
from hub.local.json_shapes import moment
from hub.local.request import address, body_of, field, opened, part, private, store_of, target, typed, writer
from hub.local.space_state import FILE, changing, configure, kept
from hub.local.spaces import changed
from hub.local.store import SETTINGS, Store


async def move(request: Request) -> Response:
    """Gives a repository another name. The old one is free at once; on the real Hub it redirects."""
    writer(request)
    body = await body_of(request)
    type, old, new = typed(body), field(body, "fromRepo"), field(body, "toRepo")
    await run_in_threadpool(_move, store_of(request), type, old, new)
    if type == "space":
        if request.app.state.runner:
            await run_in_threadpool(request.app.state.runner.stop, old)
        await changed(request, new)
    return JSONResponse({"url": address(request, type, new)})


def _move(store: Store, type: str, old: str, new: str) -> None:
    source, place = store.existing(type, old), store.folder(type, new)
    first, second = sorted((store.lock(source), store.lock(place)), key=id)
    if source == place:
        raise HubError(400, "BadRequest", f"{old} has this name already")
    with first, second:
        if place.exists():
            raise HubError(409, "Conflict", f"A {type} repo of this name exists already: {new}")
        place.parent.mkdir(parents=True, exist_ok=True)
        source.rename(place)
        for folder in {source.parent, place.parent, place.parent.parent}:
            sync_folder(folder)


async def duplicate(request: Request) -> Response:
    """Copies a repository with its history. A Space's secrets stay behind; its variables come along."""
    writer(request)
    (type, old), body = target(request), await body_of(request)
    new = field(body, "repository")
    if not await run_in_threadpool(_copy, store_of(request), type, old, new, body):
        request.state.body = {"url": address(request, type, new)}
        raise HubError(409, "Conflict", f"You already created this {type} repo: {new}")
    if type == "space":
        await changed(request, new)
    return JSONResponse({"url": address(request, type, new), "filesCopyPending": False})


def _copy(store: Store, type: str, old: str, new: str, body: dict[str, Any]) -> bool:
    source, place = store.existing(type, old), store.folder(type, new)
    with store.lock(place):
        if place.exists():
            return False
        draft = draft_of(place)
        draft.parent.mkdir(parents=True, exist_ok=True)
        with store.lock(source):
            shutil.copytree(source, draft, ignore=shutil.ignore_patterns(FILE))
            settings = store.settings(type, old)
        hidden = private(body) if {"visibility", "private"} & body.keys() else settings["private"]
        settings |= {"private": hidden, "created": int(time.time())}
        write_durably(draft / SETTINGS, json.dumps(settings).encode())
        draft.rename(place)
        for folder in (place.parent, place.parent.parent):
            sync_folder(folder)
    if type == "space":
        with changing(store, new) as state:
            state["variables"] = kept(store, old)["variables"]
        configure(store, new, body)
    return True


def auth_check(request: Request) -> Response:
    """Says by its status whether this token may read, or write, a repository."""
    target(request)
    if request.url.path.endswith("/write"):
        writer(request)
    return Response()


async def squash(request: Request) -> Response:
    """Makes one commit of a branch's whole history."""
    user, body = writer(request), await body_of(request)
    type, name = target(request)

    def rewrite() -> str:
        with store_of(request).open(type, name) as repo:
            return repo.squash(part(request, "branch"), str(body.get("message") or "squash"), user)

    return JSONResponse({"commitOid": await run_in_threadpool(rewrite)})


def large_files(request: Request) -> Response:
    """Every large file in the history of any branch or tag, with the newest path that it had."""
    writer(request)
    found: dict[str, dict[str, Any]] = {}
    with opened(request) as repo:
        for ref, head in repo.refs():
            for commit in repo.history(repo.commit_at(head)):
                for file in repo.files(commit):
                    if file.large:
                        entry = {"oid": file.large, "fileOid": file.large, "filename": file.path, "size": file.size}
                        found.setdefault(file.large, entry | {"pushedAt": moment(commit.commit_time), "ref": ref})
    return JSONResponse(list(found.values()))
