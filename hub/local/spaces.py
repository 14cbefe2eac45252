"""Spaces API: secrets, variables, hardware, pause, restart and logs."""

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
from hub.local.request import json_body, path_part, require_field, require_writer, store_of, target
from hub.local.runner import ACTIVE, Run, Runner
from hub.local.space_state import HARDWARE, edit_state, put_entry, read_state, runtime_of, start_space


async def restart_after_change(request: Request, name: str) -> None:
    """Starts a Space anew after a change that the real Hub restarts it for."""
    url = str(request.base_url).rstrip("/")
    await run_in_threadpool(start_space, store_of(request), request.app.state.runner, url, name)


def space_name(request: Request) -> str:
    """The Space that the address means."""
    type, name = target(request)
    if type != "space":
        raise HubError(404, "NotFound", f"No such thing here: {request.url.path}")
    return name


def runtime(request: Request) -> Response:
    """A Space's stage, hardware and host."""
    return JSONResponse(
        runtime_of(store_of(request), request.app.state.runner, space_name(request), str(request.base_url))
    )


def variables(request: Request) -> Response:
    """A Space's variables, values included."""
    return JSONResponse(read_state(store_of(request), space_name(request))["variables"])


def secrets(request: Request) -> Response:
    """Names, descriptions and dates; never values."""
    require_writer(request)
    entries = read_state(store_of(request), space_name(request))["secrets"]
    return JSONResponse({key: _without_value(entry) for key, entry in entries.items()})


def _without_value(entry: Json) -> Json:
    return {name: content for name, content in entry.items() if name != "value"}


async def put_setting(request: Request) -> Response:
    """Adds or changes a secret or a variable, and restarts the Space."""
    return await _edit(request, lambda entries, body: put_entry(entries, body))


async def remove_setting(request: Request) -> Response:
    """Deletes a secret or a variable, and restarts the Space."""
    return await _edit(request, lambda entries, body: entries.pop(require_field(body, "key"), None))


async def _edit(request: Request, edit: Callable[[Json, Json], Any]) -> Response:
    require_writer(request)
    name, kind, body = space_name(request), request.url.path.rsplit("/", 1)[1], await json_body(request)
    with edit_state(store_of(request), name) as state:
        edit(state[kind], body)
    await restart_after_change(request, name)
    return JSONResponse(state[kind] if kind == "variables" else {k: _without_value(v) for k, v in state[kind].items()})


async def control(request: Request) -> Response:
    """Hardware, sleep time, volumes, pause and restart: kept, then the Space starts or stops; answers its runtime."""
    require_writer(request)
    name, verb = space_name(request), request.url.path.rsplit("/", 1)[1]
    body = await json_body(request) if await request.body() else {}
    with edit_state(store_of(request), name) as state:
        match verb:
            case "hardware":
                state["hardware"] = require_field(body, "flavor")
                state["sleep"] = body.get("sleepTimeSeconds", state["sleep"])
            case "sleeptime":
                state["sleep"] = require_field(body, "seconds", int)
            case "volumes":
                state["volumes"] = require_field(body, "volumes", list) if request.method == "PUT" else None
        state["paused"] = verb == "pause" or (state["paused"] and verb != "restart")
    runner: Runner | None = request.app.state.runner
    if verb == "pause" and runner:
        await run_in_threadpool(runner.stop, name)
    elif verb in ("restart", "hardware", "volumes"):
        await restart_after_change(request, name)
    return JSONResponse(await run_in_threadpool(runtime_of, store_of(request), runner, name, str(request.base_url)))


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
    require_writer(request)
    name, kind = space_name(request), path_part(request, "kind")
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
