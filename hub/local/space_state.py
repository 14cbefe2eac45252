"""Space state: secrets, variables, hardware and stage; and how a Space is started.

Kept in `space.json` in the repository's folder, outside git and readable by the owner alone. Secrets go in and, by
name, out: their values go nowhere but into the environment of the Space's own process.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.local.card import front_matter
from hub.local.disk import write_durably
from hub.local.errors import HubError
from hub.local.json_shapes import Json, timestamp
from hub.local.request import require_field
from hub.local.runner import ACTIVE, Run, Runner, SpaceSpec
from hub.local.static_spaces import INDEX, sdk_of, static_host
from hub.local.store import Store

STATE_FILE = "space.json"
HARDWARE = "cpu-basic"
NOT_RUN = "this local Hub runs no Spaces; start it with --run-spaces"
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def read_state(store: Store, name: str) -> Json:
    """What is kept for a Space."""
    path = store.existing("space", name) / STATE_FILE
    empty: Json = {"secrets": {}, "variables": {}, "hardware": None, "sleep": None, "paused": False, "volumes": None}
    return empty | (json.loads(path.read_text()) if path.exists() else {})


@contextmanager
def edit_state(store: Store, name: str) -> Iterator[Json]:
    """Changes what is kept for a Space, whole or not at all."""
    folder = store.existing("space", name)
    with store.lock(folder):
        state = read_state(store, name)
        yield state
        write_durably(folder / STATE_FILE, json.dumps(state).encode(), mode=0o600)


def configure(store: Store, name: str, body: Json) -> None:
    """Applies the Space's part of a request that creates or duplicates it."""
    with edit_state(store, name) as state:
        for kind in ("secrets", "variables"):
            for item in body.get(kind) or []:
                put_entry(state[kind], item)
        state["hardware"] = body.get("hardware") or state["hardware"]
        state["sleep"] = body.get("sleepTimeSeconds") or state["sleep"]
        state["volumes"] = body.get("volumes") or state["volumes"]


def put_entry(entries: Json, item: Json) -> None:
    """Sets one secret or variable. Raises HubError for a name that no environment variable may have."""
    key, value = require_field(item, "key"), require_field(item, "value")
    if not _KEY.fullmatch(key):
        raise HubError(400, "BadRequest", f"'{key}' cannot be the name of an environment variable")
    entries[key] = {"value": value, "description": item.get("description"), "updatedAt": timestamp(int(time.time()))}


def start_space(store: Store, runner: Runner | None, url: str, name: str) -> None:
    """Runs the newest commit, where there is a runner, an app, and nobody has paused it."""
    state = read_state(store, name)
    if runner is None or state["paused"]:
        return
    with store.open("space", name) as repo:
        commit, card = repo.commit_at("main"), front_matter(repo)
        app_file = str(card.get("app_file") or "app.py")
        if repo.file(commit, app_file) is None or sdk_of(store, name) != "gradio":
            runner.stop(name)
            return

    def unpack(folder: Path) -> int:
        with store.open("space", name) as repo:
            files = repo.files(commit)
            for file in files:
                path = folder / file.path
                path.parent.mkdir(parents=True, exist_ok=True)
                if file.large:
                    shutil.copyfile(repo.large_path(file), path)
                else:
                    path.write_bytes(repo.content(file))
        return len(files)

    entries = state["variables"] | state["secrets"]
    environment = {
        "HF_ENDPOINT": url,
        "HF_HUB_DISABLE_XET": "1",
        "GRADIO_ANALYTICS_ENABLED": "False",
        "SPACE_ID": name,
        "SPACE_AUTHOR_NAME": name.split("/")[0],
        "SPACE_REPO_NAME": name.split("/")[1],
        **{key: entry["value"] for key, entry in entries.items()},
    }
    secrets = tuple(entry["value"] for entry in state["secrets"].values() if entry["value"])
    runner.start(SpaceSpec(name, commit.id.decode(), app_file, unpack, environment, secrets))


def runtime_of(store: Store, runner: Runner | None, name: str, url: str) -> Json:
    """The runtime as clients read it, and where the app answers (`host`); `url` is the Hub's own address."""
    state, run = read_state(store, name), runner.run(name) if runner else None
    stage, error = _stage(store, runner, name, state["paused"], run)
    hardware = state["hardware"] or HARDWARE
    runtime = {
        "stage": stage,
        "hardware": {"current": hardware if stage == "RUNNING" else None, "requested": hardware},
        "storage": None,
        "gcTimeout": state["sleep"],
        "replicas": {"current": int(stage == "RUNNING"), "requested": 1},
        "devMode": False,
        "volumes": state["volumes"],
        "domains": [],
    }
    if run and stage in ACTIVE:
        ready = "READY" if stage == "RUNNING" else "PENDING"
        runtime |= {"sha": run.spec.sha, "host": run.host, "domains": [{"domain": run.host[7:], "stage": ready}]}
    elif stage == "RUNNING":  # a static one, whose files are served as they are
        host = static_host(url, name)
        runtime |= {"host": host, "domains": [{"domain": host[7:], "stage": "READY"}]}
    return runtime | ({"errorMessage": error} if error else {})


def _stage(store: Store, runner: Runner | None, name: str, paused: bool, run: Run | None) -> tuple[str, str | None]:
    """The stage, and the reason where the Space does not run."""
    if paused:
        return "PAUSED", None
    if run:
        return run.stage(), run.error
    with store.open("space", name) as repo:
        card, sdk = front_matter(repo), sdk_of(store, name)
        if sdk == "static":
            there = repo.file(repo.commit_at("main"), INDEX) is not None
            return "RUNNING" if there else "NO_APP_FILE", None
        if sdk != "gradio":
            return "CONFIG_ERROR", f"the local Hub serves gradio and static Spaces only, not '{sdk}'"
        if repo.file(repo.commit_at("main"), str(card.get("app_file") or "app.py")) is None:
            return "NO_APP_FILE", None
    return "STOPPED", NOT_RUN if runner is None else None
