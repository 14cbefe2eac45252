"""Spaces of the local Hub: what they keep, and that they run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import HfApi, SpaceStage
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from hub.local.tokens import token_of
from tests.support.warm_hub import running, serving

APP = """
import os, sys, http.server
print("secret is", os.environ.get("TOKEN_OF_MINE"), "and variable", os.environ.get("COLOUR"))
print("server's own:", os.environ.get("HF_TOKEN"), os.environ["HOME"])
assert os.environ.get("COLOUR") != "broken", "this colour does not work"
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(os.environ["SPACE_ID"].encode())
    def log_message(self, *a): pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["GRADIO_SERVER_PORT"])), Page).serve_forever()
"""
GRADIO = """
import gradio as gr
gr.Interface(lambda line: line.upper(), "text", "text", api_name="say").launch()
"""
SECRET = "hf_never_to_be_seen_again"


@pytest.fixture(scope="module")
def running_hub(tmp_path_factory):
    data = tmp_path_factory.mktemp("spaces")
    with running(data, run_spaces=True) as url:
        yield HfApi(url, token_of(data))


def publish(api: HfApi, name: str, app: str) -> None:
    api.create_repo(
        name,
        repo_type="space",
        space_sdk="gradio",
        exist_ok=True,
        space_secrets=[{"key": "TOKEN_OF_MINE", "value": SECRET}],
        space_variables=[{"key": "COLOUR", "value": "blue"}],
    )
    api.upload_file(path_or_fileobj=app.encode(), path_in_repo="app.py", repo_id=name, repo_type="space")


def log_of(api: HfApi, name: str, build: bool = False, until: str = "") -> str:
    """The log so far; where the app runs on, up to a text in it."""
    said = ""
    for line in api.fetch_space_logs(name, build=build, follow=bool(until)):
        said += line
        if until and until in said:
            break
    return said


def test_a_space_runs_restarts_fails_and_comes_back(running_hub):
    api, name = running_hub, "me/lively"
    publish(api, name, APP)
    assert api.wait_for_space(name, timeout=30, poll_interval=0.1).stage == SpaceStage.RUNNING
    info = api.space_info(name)
    assert httpx2.get(info.host).text == name
    assert info.runtime.raw["sha"] == info.sha
    assert info.runtime.raw["domains"] == [{"domain": info.host.removeprefix("http://"), "stage": "READY"}]
    said = log_of(api, name, until="server's own")
    assert "secret is *** and variable blue" in said
    assert f"server's own: None {Path.home()}" not in said
    assert "server's own: None" in said
    assert info.sha in log_of(api, name, build=True)

    api.add_space_variable(name, "COLOUR", "broken")
    broken = api.wait_for_space(name, timeout=30, poll_interval=0.1)
    assert broken.stage == SpaceStage.RUNTIME_ERROR
    assert "app.py ended with exit code 1" in broken.raw["errorMessage"]
    assert "this colour does not work" in "".join(api.fetch_space_logs(name))
    assert api.space_info(name).host is None
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(info.host)

    api.add_space_variable(name, "COLOUR", "green")
    assert api.wait_for_space(name, timeout=30, poll_interval=0.1).stage == SpaceStage.RUNNING
    host = api.space_info(name).host
    assert api.pause_space(name).stage == SpaceStage.PAUSED
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(host)
    assert api.restart_space(name).stage in (SpaceStage.BUILDING, SpaceStage.APP_STARTING)
    assert api.wait_for_space(name, timeout=30, poll_interval=0.1).stage == SpaceStage.RUNNING
    host = api.space_info(name).host
    api.delete_repo(name, repo_type="space")
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(host)


@pytest.mark.slow
def test_gradio_client_finds_a_space_by_its_name(running_hub):
    api, name = running_hub, "me/gradio"
    publish(api, name, GRADIO)
    assert api.wait_for_space(name, timeout=90, poll_interval=0.2).stage == SpaceStage.RUNNING, log_of(api, name)
    code = f"from gradio_client import Client; print(Client({name!r}, verbose=False).predict('hello', api_name='/say'))"
    environment = os.environ | {"HF_ENDPOINT": api.endpoint, "HF_TOKEN": api.token}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "HELLO", done.stderr
    api.pause_space(name)


def closes(url: str) -> bool:
    """Whether an app goes away in time: the system tells it of a killed server a moment later."""
    for _ in range(50):
        try:
            httpx2.get(url)
        except httpx2.TransportError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_app_dies_with_its_server(tmp_path, number):
    with serving(tmp_path, "--run-spaces") as (server, url):
        api = HfApi(url, token_of(tmp_path))
        publish(api, "me/x", APP)
        api.wait_for_space("me/x", timeout=30, poll_interval=0.1)
        first = api.space_info("me/x").host
        assert httpx2.get(first).text == "me/x"
        server.send_signal(number)
        server.wait()
    assert closes(first)
    with running(tmp_path, run_spaces=True) as url:  # and starts with it
        api = HfApi(url, token_of(tmp_path))
        assert api.wait_for_space("me/x", timeout=30, poll_interval=0.1).stage == SpaceStage.RUNNING


# ---- kept, not run


@pytest.fixture
def space(api, namespace):
    publish(api, f"{namespace}/space", APP)
    return f"{namespace}/space"


def test_without_a_runner_the_stage_is_honest(api, space, namespace):
    runtime = api.get_space_runtime(space)
    assert (runtime.stage, runtime.hardware) == ("STOPPED", None)
    assert "--run-spaces" in runtime.raw["errorMessage"]
    assert api.space_info(space).host is None
    assert list(api.fetch_space_logs(space)) == []
    assert api.pause_space(space).stage == "PAUSED"
    api.delete_file("app.py", space, repo_type="space")
    assert api.restart_space(space).stage == "NO_APP_FILE"
    api.create_repo(f"{namespace}/docker", repo_type="space", space_sdk="docker")
    assert api.get_space_runtime(f"{namespace}/docker").stage == "CONFIG_ERROR"


def test_secrets_go_in_and_never_come_out(api, space, hub_url):
    api.add_space_secret(space, "SECOND", SECRET + "2", description="of another service")
    listed = api.get_space_secrets(space)
    assert listed["SECOND"].description == "of another service"
    assert set(listed) == {"TOKEN_OF_MINE", "SECOND"}
    assert time.time() - listed["SECOND"].updated_at.timestamp() < 60
    headers = {"Authorization": f"Bearer {os.environ['HF_TOKEN']}"}
    for path in ("", "/runtime", "/secrets", "/variables", "/logs/run", "/logs/build", "/refs", "/commits/main"):
        answer = httpx2.get(f"{hub_url}/api/spaces/{space}{path}", headers=headers)
        assert answer.status_code == 200, path
        assert SECRET not in answer.text, path
    added = httpx2.post(
        f"{hub_url}/api/spaces/{space}/secrets", headers=headers, json={"key": "THIRD", "value": SECRET}
    )
    assert SECRET not in added.text
    assert SECRET not in httpx2.get(f"{hub_url}/spaces/{space}").text
    api.delete_space_secret(space, "SECOND")
    assert "SECOND" not in api.get_space_secrets(space)
    with pytest.raises(HfHubHTTPError):
        HfApi(token=False).get_space_secrets(space)


def test_variables_hardware_and_sleep(api, space):
    assert api.get_space_variables(space)["COLOUR"].value == "blue"
    assert api.add_space_variable(space, "SIZE", "3", description="metres")["SIZE"].description == "metres"
    assert "COLOUR" not in api.delete_space_variable(space, "COLOUR")
    assert api.request_space_hardware(space, "t4-small", sleep_time=3600).requested_hardware == "t4-small"
    assert api.set_space_sleep_time(space, 7200).sleep_time == 7200
    with pytest.raises(HfHubHTTPError):
        api.add_space_variable(space, "not a name", "x")


def test_a_model_is_no_space(api, namespace, hub_url):
    api.create_repo(f"{namespace}/model")
    with pytest.raises(RepositoryNotFoundError):
        api.get_space_runtime(f"{namespace}/model")
    assert httpx2.get(f"{hub_url}/api/models/{namespace}/model/runtime").status_code == 404
    assert json.loads(httpx2.get(f"{hub_url}/api/models/{namespace}/model/runtime").text)["error"]
