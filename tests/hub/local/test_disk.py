"""The local Hub on a full disk: it says so, and goes on where it was once there is room again."""

import errno
import hashlib
import json
import os
import threading
import time
from types import SimpleNamespace

import httpx2
import pytest
import uvicorn
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from hub.errors import explain
from hub.lineage import Lineage
from hub.local import read_api, tokens
from hub.local.__main__ import listen
from hub.local.app import build_app
from hub.local.store import Store
from hub.publish import publish

CONTENT = b"x" * 300_000
OID = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A local Hub in this process, whose disk takes `room` more writes, and a client that keeps its connection."""
    token, disk, sync = tokens.token_of(tmp_path), SimpleNamespace(room=None), os.fsync

    def fsync(number):
        if disk.room is not None:
            disk.room -= 1
            if disk.room < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(number)

    monkeypatch.setattr(os, "fsync", fsync)
    with listen("127.0.0.1", 0) as listening:
        app = build_app(Store(tmp_path), tokens.Tokens(tmp_path))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        headers = {"Authorization": f"Bearer {token}"}
        with httpx2.Client(base_url=url, headers=headers, trust_env=False, timeout=30) as client:
            yield SimpleNamespace(url=url, token=token, client=client, disk=disk, data=tmp_path)
        disk.room = None
        server.should_exit = True
        thread.join()


def create(hub):
    return hub.client.post("/api/repos/create", json={"organization": "me", "name": "x"})


def commit(hub, content="one"):
    lines = [{"key": "header", "value": {"summary": "m"}}]
    lines += [{"key": "file", "value": {"path": f"d/{n}", "content": content * n, "encoding": "utf-8"}} for n in (1, 2)]
    return hub.client.post("/api/models/me/x/commit/main", content="\n".join(map(json.dumps, lines)))


def push(hub):
    wanted = {"operation": "upload", "objects": [{"oid": OID, "size": len(CONTENT)}]}
    asked = hub.client.post("/me/x.git/info/lfs/objects/batch", json=wanted)
    (answer,) = asked.json()["objects"]
    if "actions" not in answer:  # it is there
        return asked
    return hub.client.put(answer["actions"]["upload"]["href"], content=CONTENT)


WRITES = {
    "create": create,
    "commit": commit,
    "large": push,
    "tag": lambda hub: hub.client.post("/api/models/me/x/tag/main", json={"tag": "v1"}),
    "settings": lambda hub: hub.client.put("/api/models/me/x/settings", json={"private": True}),
    "duplicate": lambda hub: hub.client.post("/api/models/me/x/duplicate", json={"repository": "me/y"}),
    "collection": lambda hub: hub.client.post("/api/collections", json={"title": "c", "namespace": "me"}),
}


def left_behind(hub):
    return [path for path in hub.data.rglob("*") if path.suffix == ".lock" or path.name.startswith(".")]


@pytest.mark.parametrize("what", WRITES)
def test_a_full_disk_is_said_and_over_as_soon_as_there_is_room(hub, what, capfd):
    """Full at the first write, at the second, and so on, until it all fits."""
    if what != "create":
        create(hub)
    for room in range(40):
        hub.disk.room = room
        answer = WRITES[what](hub)
        hub.disk.room = None
        if answer.status_code != 507:
            break
        assert "disk of the local Hub is full" in answer.headers["X-Error-Message"]
        assert not left_behind(hub)
        assert f"is full ({hub.data})" in capfd.readouterr().err
    assert room > 0
    assert answer.status_code in (200, 201, 409), answer.text  # 409: it was there, and its folder's name not yet safe
    assert WRITES[what](hub).status_code in (200, 201, 409)


@pytest.mark.parametrize("room", [1, 3, 6])
def test_a_client_is_told_at_once_and_publishes_when_there_is_room(hub, monkeypatch, room):
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: HfApi(hub.url, hub.token))
    monkeypatch.setattr("huggingface_hub.get_token", lambda: hub.token)
    monkeypatch.setattr("hub.publish.time", SimpleNamespace(sleep=lambda seconds: pytest.fail("it waits for room")))
    HfApi(hub.url, hub.token).create_repo("me/x")
    hub.disk.room = room
    with pytest.raises(HfHubHTTPError) as caught:
        publish("me/x", "model", {"a": b"1", "b": b"2"}, Lineage("test", {}, ()), "m")
    said = str(explain(caught.value))
    assert "answered 507" in said
    assert "free some space there and run again" in said
    hub.disk.room = None
    assert len(publish("me/x", "model", {"a": b"1", "b": b"2"}, Lineage("test", {}, ()), "m")) == 40


def test_after_a_failure_of_our_own_the_connection_goes_on(hub, monkeypatch, capfd):
    create(hub)
    connections = set()

    def broken(*given):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(read_api, "_info", broken)
    for _ in range(3):
        answer = hub.client.get("/api/models/me/x")
        connections.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
        assert answer.status_code == 500
        assert answer.headers["X-Error-Code"] == "InternalError"
        said = capfd.readouterr().err
        assert answer.headers["X-Request-Id"] in said
        assert "ZeroDivisionError: a bug" in said
    answer = hub.client.get("/api/whoami-v2")
    connections.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
    assert (answer.status_code, len(connections)) == (200, 1)


def test_a_push_goes_on_after_a_restart_and_an_address_ends(hub, monkeypatch):
    create(hub)
    wanted = {"operation": "upload", "objects": [{"oid": OID, "size": len(CONTENT)}]}
    (answer,) = hub.client.post("/me/x.git/info/lfs/objects/batch", json=wanted).json()["objects"]
    address = httpx2.URL(answer["actions"]["upload"]["href"])
    assert (hub.data / "signing.key").stat().st_mode & 0o077 == 0
    again = build_app(Store(hub.data), tokens.Tokens(hub.data))  # as after a restart
    assert again.state.secret == tokens.signing_key(hub.data)
    assert len(again.state.secret) == 32
    later = address.copy_set_param("expires", str(int(time.time()) + 10**6))
    assert hub.client.put(later, content=CONTENT).status_code == 403
    now = time.time
    with monkeypatch.context() as patch:
        patch.setattr("hub.local.lfs.time", SimpleNamespace(time=lambda: now() + 25 * 3600))
        assert hub.client.put(address, content=CONTENT).status_code == 403
    assert hub.client.put(address, content=CONTENT).status_code == 200
