"""Errors: one line and a cure for what a person can mend, a traceback for a bug."""

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import LocalTokenNotFoundError

from hub.errors import UserError, explain, one_line_errors
from hub.local import free_port


@pytest.fixture(scope="module")
def answering():
    """A server that answers /api/models/N with status N, as the Hub does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(self.path.rsplit("/", 1)[-1]))
            self.send_header("X-Error-Message", "said by\tthe Hub")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield HfApi(endpoint=f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()


def caught(action) -> Exception:
    with pytest.raises(Exception) as error:  # noqa: PT011
        action()
    return error.value


@pytest.mark.parametrize(
    ("status", "cure"),
    [
        (401, "HF_TOKEN"),
        (403, "access to that namespace"),
        (404, "check the name"),
        (409, "run again"),
        (412, "run again"),
        (418, "see its message"),
        (429, "wait a while"),
        (500, "run again later"),
        (503, "run again later"),
    ],
)
def test_what_the_hub_refuses_is_one_line(answering, capsys, status, cure):
    with pytest.raises(SystemExit) as ended, one_line_errors():
        answering.repo_info(str(status))
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("error: ")
    assert f"answered {status}" in said.err
    assert "said by the Hub" in said.err
    assert cure in said.err


def test_what_we_say_ourselves_is_one_line(capsys):
    with pytest.raises(SystemExit) as ended, one_line_errors():
        raise UserError("the recipe\nis wrong;  mend it")
    assert ended.value.code == 1
    assert capsys.readouterr().err == "error: the recipe is wrong; mend it\n"


def test_no_token_names_the_three_ways_to_have_one():
    line = explain(LocalTokenNotFoundError("Token is required"))
    assert line
    for way in ("HF_TOKEN", "hf auth login", "python -m hub.local run"):
        assert way in line


def test_an_impossible_name():
    line = explain(caught(lambda: HfApi().repo_info("no such/na me")))
    assert line
    assert "'no such/na me'" in line


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk():
    def fill() -> None:
        with open("/dev/full", "wb", buffering=0) as file:
            file.write(b"x")

    assert "disk is full" in str(explain(caught(fill)))
    assert "disk is full" in str(explain(RuntimeError("I/O error: No space left on device (os error 28)")))


def test_what_a_library_wrapped_is_found(answering):
    def wrapped() -> None:
        try:
            answering.repo_info("500")
        except Exception as error:
            raise RuntimeError("Error while uploading 'model.safetensors'") from error

    assert "answered 500" in str(explain(caught(wrapped)))


def test_a_base_that_cannot_be_asked_is_one_line():
    from chat.chat_format import ChatFormatError

    assert explain(ChatFormatError("it has no chat template; take another")) == "it has no chat template; take another"


def test_a_bug_keeps_its_traceback(answering, capsys):
    def mishandled() -> None:
        try:
            answering.repo_info("404")
        except Exception:
            {}["nothing"]  # a bug in the handling of an error that a person could have mended

    with pytest.raises(KeyError), one_line_errors():
        {}["nothing"]
    with pytest.raises(KeyError), one_line_errors():
        mishandled()
    assert explain(ConnectionRefusedError("some other machine")) is None
    assert capsys.readouterr().err == ""


def test_ctrl_c_ends_with_130(capsys):
    with pytest.raises(SystemExit) as ended, one_line_errors():
        raise KeyboardInterrupt
    assert ended.value.code == 130
    assert capsys.readouterr().err.count("\n") == 1


ASK_DATASETS = """
import time
from datasets import load_dataset
from hub.errors import one_line_errors
time.sleep = lambda seconds: None  # huggingface_hub waits 23 seconds before it gives up
with one_line_errors():
    load_dataset("a/b")
"""


@pytest.mark.parametrize("ask", [["-m", "hub.lineage", "a/b"], ["-c", ASK_DATASETS]], ids=["our own", "datasets"])
@pytest.mark.parametrize("offline", [False, True])
def test_a_hub_that_is_down(ask, offline):
    """In a process of its own, because huggingface_hub reads the address at import."""
    address = f"http://127.0.0.1:{free_port()}"
    environment = os.environ | {"HF_ENDPOINT": address, "HF_HUB_OFFLINE": str(int(offline))}
    done = subprocess.run([sys.executable, *ask], env=environment, capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert last.startswith("error: ")
    if offline:
        assert "HF_HUB_OFFLINE" in last
    else:
        assert address in last
        assert "python -m hub.local run" in last
