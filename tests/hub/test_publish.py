"""Publishing: one commit, nothing twice, through a Hub that drops, delays and fails."""

import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest
from huggingface_hub import HfApi

from hub import publish as module
from hub.errors import UserError
from hub.lineage import Input, Lineage, published, resolve, up_to_date
from hub.publish import publish


def lineage(**settings):
    return Lineage("test", settings, (Input("source", "file", "a" * 64, "a" * 64),))


def test_one_commit_holds_exactly_the_files(namespace, hub_url, tmp_path):
    name = f"{namespace}/one"
    (tmp_path / "b").write_bytes(b"two")
    first = publish(name, "model", {"a": b"one", "sub/b": tmp_path / "b"}, lineage(), "first")
    second = publish(name, "model", {"a": b"other"}, lineage(), "second")
    assert [commit.title for commit in HfApi().list_repo_commits(name)] == ["second", "first", "initial commit"]
    assert set(HfApi().list_repo_files(name, revision=first)) == {".gitattributes", "a", "lineage.json", "sub/b"}
    assert set(HfApi().list_repo_files(name, revision=second)) == {".gitattributes", "a", "lineage.json"}


def test_unchanged_content_makes_no_commit(namespace, hub_url, capsys):
    name = f"{namespace}/same"
    first = publish(name, "dataset", {"a": b"one", "big": b"x" * 11_000_000}, lineage(), "first")
    assert publish(name, "dataset", {"a": b"one", "big": b"x" * 11_000_000}, lineage(), "again") == first
    assert capsys.readouterr().out.splitlines() == [f"published {name}@{first}", f"unchanged {name}@{first}"]


def test_up_to_date_by_settings_and_inputs_not_by_card(namespace, hub_url):
    name = f"{namespace}/fresh"
    assert up_to_date(name, "model", lineage(a=1)) is None
    sha = publish(name, "model", {"weights": b"w"}, lineage(a=1), "m")
    assert up_to_date(name, "model", lineage(a=1)) == sha
    assert up_to_date(name, "model", lineage(a=2)) is None
    before = resolve(name, "model")
    HfApi().upload_file(path_or_fileobj=b"hello", path_in_repo="README.md", repo_id=name)
    after = resolve(name, "model")
    assert (before.content, before.revision) != (after.content, after.revision)
    assert before.content == after.content
    found = published(name, "model", sha)
    assert found == (sha, lineage(a=1))


def test_no_token_is_one_line(monkeypatch, hub_url):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(UserError, match="HF_TOKEN"):
        publish("a/b", "model", {}, lineage(), "m")


class FaultProxy:
    """Stands between client and Hub; `faults` says what happens to the next requests whose path holds `only`."""

    def __init__(self, target: str, only: str) -> None:
        self.faults: deque[str] = deque()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def relay(self) -> None:
                fault = proxy.faults.popleft() if only in self.path and proxy.faults else ""
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                if fault in ("429", "500"):
                    self.send_response(int(fault))
                    self.send_header("Retry-After", "0")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                if fault == "drop":
                    self.close_connection = True
                    return
                headers = {key: value for key, value in self.headers.items() if key.lower() != "host"}
                answer = httpx2.request(self.command, target + self.path, content=body, headers=headers)
                if fault == "lose":  # the Hub has done it, and nobody hears of it
                    self.close_connection = True
                    return
                self.send_response(answer.status_code)
                for key, value in answer.headers.items():
                    if key.lower() not in ("content-length", "content-encoding", "transfer-encoding", "connection"):
                        self.send_header(key, value)
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            do_GET = do_POST = do_PUT = do_HEAD = relay

            def log_message(self, *arguments) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def proxied(hub_url, monkeypatch):
    """A client whose commits go through a proxy with faults."""
    proxy = FaultProxy(hub_url, "/commit/")
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: HfApi(endpoint=proxy.url))
    monkeypatch.setattr(module, "_seconds", lambda retry_after, attempt: 0.0)
    yield proxy
    proxy.server.shutdown()


@pytest.mark.parametrize("faults", [["500"], ["429", "500"], ["drop"], ["lose"], ["lose", "500", "drop"]])
def test_faults_end_in_one_commit(proxied, namespace, faults):
    proxied.faults.extend(faults)
    name = f"{namespace}/faults"
    sha = publish(name, "model", {"a": b"one"}, lineage(), "only once")
    assert [commit.title for commit in HfApi().list_repo_commits(name)] == ["only once", "initial commit"]
    assert HfApi().model_info(name).sha == sha


def test_endless_trouble_ends_in_an_error_and_no_commit(proxied, namespace):
    proxied.faults.extend(["500"] * 100)
    with pytest.raises(Exception, match="500"):
        publish(f"{namespace}/never", "model", {"a": b"one"}, lineage(), "never")
    assert [commit.title for commit in HfApi().list_repo_commits(f"{namespace}/never")] == ["initial commit"]
