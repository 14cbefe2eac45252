"""Repository administration API: move, duplicate, squash, and checks of access rights."""

from __future__ import annotations

import json
import shutil
import time
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.local.disk import sync_folder, write_durably
from hub.local.errors import HubError
from hub.local.json_shapes import timestamp
from hub.local.request import (
    is_private,
    json_body,
    open_repo,
    path_part,
    repo_type,
    repo_url,
    require_field,
    require_writer,
    store_of,
    target,
)
from hub.local.space_state import STATE_FILE, configure, edit_state, read_state
from hub.local.spaces import restart_after_change
from hub.local.store import SETTINGS, Store


async def move(request: Request) -> Response:
    """Gives a repository another name. The old one is free at once; on the real Hub it redirects."""
    require_writer(request)
    body = await json_body(request)
    type, old, new = repo_type(body), require_field(body, "fromRepo"), require_field(body, "toRepo")
    await run_in_threadpool(_move, store_of(request), type, old, new)
    if type == "space":
        if request.app.state.runner:
            await run_in_threadpool(request.app.state.runner.stop, old)
        await restart_after_change(request, new)
    return JSONResponse({"url": repo_url(request, type, new)})


def _move(store: Store, type: str, old: str, new: str) -> None:
    source, destination = store.existing(type, old), store.folder(type, new)
    first, second = sorted((store.lock(source), store.lock(destination)), key=id)
    if source == destination:
        raise HubError(400, "BadRequest", f"{old} has this name already")
    with first, second:
        if destination.exists():
            raise HubError(409, "Conflict", f"A {type} repository called {new} already exists")
        destination.parent.mkdir(parents=True, exist_ok=True)
        source.rename(destination)
        for folder in {source.parent, destination.parent, destination.parent.parent}:
            sync_folder(folder)


async def duplicate(request: Request) -> Response:
    """Copies a repository with its history. A Space's secrets stay behind; its variables come along."""
    require_writer(request)
    (type, old), body = target(request), await json_body(request)
    new = require_field(body, "repository")
    if not await run_in_threadpool(_copy, store_of(request), type, old, new, body):
        request.state.body = {"url": repo_url(request, type, new)}
        raise HubError(409, "Conflict", f"You already created this {type} repo: {new}")
    if type == "space":
        await restart_after_change(request, new)
    return JSONResponse({"url": repo_url(request, type, new), "filesCopyPending": False})


def _copy(store: Store, type: str, old: str, new: str, body: dict[str, Any]) -> bool:
    source, destination = store.existing(type, old), store.folder(type, new)
    with store.lock(destination):
        if destination.exists():
            return False
        with store.draft(destination) as draft:
            draft.parent.mkdir(parents=True, exist_ok=True)
            with store.lock(source):
                shutil.copytree(source, draft, ignore=shutil.ignore_patterns(STATE_FILE))
                settings = store.settings(type, old)
            hidden = is_private(body) if {"visibility", "private"} & body.keys() else settings["private"]
            settings |= {"private": hidden, "created": int(time.time())}
            write_durably(draft / SETTINGS, json.dumps(settings).encode())
            draft.rename(destination)
        for folder in (destination.parent, destination.parent.parent):
            sync_folder(folder)
    if type == "space":
        with edit_state(store, new) as state:
            state["variables"] = read_state(store, old)["variables"]
        configure(store, new, body)
    return True


def auth_check(request: Request) -> Response:
    """Says by its status whether this token may read, or write, a repository."""
    target(request)
    if request.url.path.endswith("/write"):
        require_writer(request)
    return Response()


async def squash(request: Request) -> Response:
    """Makes one commit of a branch's whole history."""
    user, body = require_writer(request), await json_body(request)
    type, name = target(request)

    def rewrite() -> str:
        with store_of(request).open(type, name) as repo:
            return repo.squash(path_part(request, "branch"), str(body.get("message") or "squash"), user)

    return JSONResponse({"commitOid": await run_in_threadpool(rewrite)})


def large_files(request: Request) -> Response:
    """Every large file in the history of any branch or tag, with the newest path that it had."""
    require_writer(request)
    found: dict[str, dict[str, Any]] = {}
    with open_repo(request) as repo:
        for ref, head in repo.refs():
            for commit in repo.history(repo.commit_at(head)):
                for file in repo.files(commit):
                    if file.large:
                        entry = {"oid": file.large, "fileOid": file.large, "filename": file.path, "size": file.size}
                        found.setdefault(file.large, entry | {"pushedAt": timestamp(commit.commit_time), "ref": ref})
    return JSONResponse(list(found.values()))
