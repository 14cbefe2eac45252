"""Handlers of what Spaces have beyond repositories: secrets, variables, orders (hardware, pause, restart) and logs."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from hub.local.errors import HubError
from hub.local.json_shapes import Json
from hub.local.request import body_of, field, part, store_of, target, writer
from hub.local.runner import ACTIVE, Run, Runner
from hub.local.space_state import HARDWARE, changing, kept, put_entry, runtime_of, start


async def changed(request: Request, name: str) -> None:
    """Starts a Space anew after a change that the real Hub restarts it for."""
    url = str(request.base_url).rstrip("/")
    await run_in_threadpool(start, store_of(request), request.app.state.runner, url, name)


def space(request: Request) -> str:
    """The Space that the address means."""
    type, name = target(request)
    if type != "space":
        raise HubError(404, "NotFound", f"No such thing here: {request.url.path}")
    return name


def runtime(request: Request) -> Response:
    return JSONResponse(runtime_of(store_of(request), request.app.state.runner, space(request)))


def variables(request: Request) -> Response:
    return JSONResponse(kept(store_of(request), space(request))["variables"])


def secrets(request: Request) -> Response:
    """Names, descriptions and dates; never values."""
    writer(request)
    entries = kept(store_of(request), space(request))["secrets"]
    return JSONResponse({key: _without_value(entry) for key, entry in entries.items()})


def _without_value(entry: Json) -> Json:
    return {name: content for name, content in entry.items() if name != "value"}


async def put(request: Request) -> Response:
    """Adds or changes a secret or a variable, and restarts the Space."""
    return await _edit(request, lambda entries, body: put_entry(entries, body))


async def remove(request: Request) -> Response:
    return await _edit(request, lambda entries, body: entries.pop(field(body, "key"), None))


async def _edit(request: Request, edit: Callable[[Json, Json], Any]) -> Response:
    writer(request)
    name, kind, body = space(request), request.url.path.rsplit("/", 1)[1], await body_of(request)
    with changing(store_of(request), name) as state:
        edit(state[kind], body)
    await changed(request, name)
    return JSONResponse(state[kind] if kind == "variables" else {k: _without_value(v) for k, v in state[kind].items()})


async def order(request: Request) -> Response:
    """Hardware, sleep time, volumes, pause and restart: kept, then the Space starts or stops; answers its runtime."""
    writer(request)
    name, verb = space(request), request.url.path.rsplit("/", 1)[1]
    body = await body_of(request) if await request.body() else {}
    with changing(store_of(request), name) as state:
        match verb:
            case "hardware":
                state["hardware"] = field(body, "flavor")
                state["sleep"] = body.get("sleepTimeSeconds", state["sleep"])
            case "sleeptime":
                state["sleep"] = field(body, "seconds", int)
            case "volumes":
                state["volumes"] = field(body, "volumes", list) if request.method == "PUT" else None
        state["paused"] = verb == "pause" or (state["paused"] and verb != "restart")
    runner: Runner | None = request.app.state.runner
    if verb == "pause" and runner:
        await run_in_threadpool(runner.stop, name)
    elif verb in ("restart", "hardware", "volumes"):
        await changed(request, name)
    return JSONResponse(await run_in_threadpool(runtime_of, store_of(request), runner, name))


def hardware(request: Request) -> Response:
    """What a Space can ask for: this machine."""
    return JSONResponse(
        [
            {
                "name": HARDWARE,
                "prettyName": "this machine",
                "cpu": f"{os.cpu_count()} cores",
                "ram": "what it has",
                "accelerator": None,
                "unitCostMicroUSD": 0,
                "unitCostUSD": 0,
                "unitLabel": "minute",
            }
        ]
    )


async def logs(request: Request) -> Response:
    """Server-sent events, one a line; open while the Space is, as on the real Hub."""
    writer(request)
    name, kind = space(request), part(request, "kind")
    if kind not in ("build", "run"):
        raise HubError(404, "NotFound", f"there is no log '{kind}', but build and run")
    runner: Runner | None = request.app.state.runner
    return StreamingResponse(_events(runner.run(name) if runner else None, kind), media_type="text/event-stream")


async def _events(run: Run | None, kind: str, pause: float = 0.2, alive: float = 15) -> AsyncIterator[str]:
    seen, quiet = 0, 0.0
    while run:
        stage = await run_in_threadpool(run.stage)
        active = stage in ACTIVE if kind == "run" else stage == "BUILDING"
        lines, seen = (run.log if kind == "run" else run.build_log).after(seen)
        for when, line in lines:
            yield f"data: {json.dumps({'data': line + chr(10), 'timestamp': when})}\n\n"
        if not active:
            return
        quiet = 0 if lines else quiet + pause
        if quiet >= alive:
            quiet = 0
            yield "data:\n\n"  # keeps the connection open
        await asyncio.sleep(pause)
