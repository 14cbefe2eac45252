"""Publishing: one commit, nothing twice, through a Hub that drops, delays and fails."""

import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from hub import publish as module
from hub.errors import UserError, explain
from hub.lineage import Input, Lineage
from hub.local import free_port
from hub.publish import publish


def lineage(**settings):
    return Lineage("test", settings, (Input("source", "file", "a" * 64, "a" * 64),))


def titles(name: str) -> list[str]:
    return [commit.title for commit in HfApi().list_repo_commits(name)]


def test_one_commit_holds_exactly_the_files(namespace, tmp_path):
    name = f"{namespace}/one"
    (tmp_path / "b").write_bytes(b"two")
    first = publish(name, "model", {"a": b"one", "sub/b": tmp_path / "b"}, lineage(), "first")
    second = publish(name, "model", {"a": b"other"}, lineage(), "second")
    assert titles(name) == ["second", "first", "initial commit"]
    assert set(HfApi().list_repo_files(name, revision=first)) == {".gitattributes", "a", "lineage.json", "sub/b"}
    assert set(HfApi().list_repo_files(name, revision=second)) == {".gitattributes", "a", "lineage.json"}


def test_unchanged_content_makes_no_commit(namespace, capsys):
    name = f"{namespace}/same"
    files = {"a": b"one", "large.safetensors": b"x" * 1_100_000}  # the second goes to large file storage
    first = publish(name, "dataset", files, lineage(), "first")
    assert publish(name, "dataset", files, lineage(), "again") == first
    assert capsys.readouterr().out.splitlines() == [f"published {name}@{first}", f"unchanged {name}@{first}"]
    assert HfApi().dataset_info(name, files_metadata=True).siblings[-2].lfs, "the test needs a large file"


def test_private_where_it_is_asked_for(namespace):
    publish(f"{namespace}/hidden", "model", {}, lineage(), "m", private=True)
    publish(f"{namespace}/open", "model", {}, lineage(), "m")
    assert HfApi().model_info(f"{namespace}/hidden").private
    assert not HfApi().model_info(f"{namespace}/open").private


def test_no_token_is_one_line(monkeypatch, hub_url):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(UserError, match="HF_TOKEN"):
        publish("a/b", "model", {}, lineage(), "m")


def test_a_token_is_never_published(monkeypatch, namespace):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_secret")
    for message, settings in (("by hf_secret", {}), ("m", {"env": {"HF_TOKEN": "hf_secret"}})):
        with pytest.raises(UserError, match="token") as caught:
            publish(f"{namespace}/leak", "model", {}, lineage(**settings), message)
        assert "hf_secret" not in str(caught.value)
    assert not HfApi().repo_exists(f"{namespace}/leak")


class FaultProxy:
    """Stands between client and Hub; `faults` says what happens to the next commits.

    A number: the Hub answers it. drop: the request never arrives. lose: it does, and nobody hears the answer. late: it
    arrives just before the next one. other: somebody else's commit gets in before it.
    """

    def __init__(self, target: str) -> None:
        self.faults: deque[str] = deque()
        self.late: list[tuple[str, bytes, dict[str, str]]] = []
        self.other = lambda: None
        proxy, client = self, httpx2.Client(base_url=target, trust_env=False, timeout=60)

        class Handler(BaseHTTPRequestHandler):
            def relay(self) -> None:
                fault = proxy.faults.popleft() if "/commit/" in self.path and proxy.faults else ""
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {key: value for key, value in self.headers.items() if key.lower() != "host"}
                if fault.isdigit():
                    return self.answer(int(fault), {"Retry-After": "7"}, b"")
                if fault == "late":
                    proxy.late.append((self.path, body, headers))
                if fault in ("drop", "late"):
                    self.close_connection = True
                    return None
                if "/commit/" in self.path:
                    for path, content, its_headers in proxy.late:
                        client.post(path, content=content, headers=its_headers)
                    proxy.late.clear()
                if fault == "other":
                    proxy.other()
                said = client.request(self.command, self.path, content=body, headers=headers)
                if fault == "lose":
                    self.close_connection = True
                    return None
                return self.answer(said.status_code, said.headers, said.content)

            def answer(self, status: int, headers, content: bytes) -> None:
                self.send_response(status)
                for key, value in headers.items():
                    if key.lower() not in ("content-length", "content-encoding", "transfer-encoding", "connection"):
                        self.send_header(key, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_HEAD = relay

            def log_message(self, *arguments) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()


@pytest.fixture
def waits(monkeypatch):
    """The seconds that publishing wanted to wait, without the waiting."""
    asked: list[float] = []
    monkeypatch.setattr(module.time, "sleep", asked.append)
    return asked


@pytest.fixture
def proxied(hub_url, monkeypatch, waits):
    """A client whose commits go through a proxy with faults."""
    proxy = FaultProxy(hub_url)
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: HfApi(endpoint=proxy.url))
    yield proxy
    proxy.server.shutdown()
    proxy.server.server_close()


@pytest.mark.parametrize(
    "faults", [["500"], ["429", "503"], ["drop"], ["lose"], ["late"], ["late", "lose"], ["500", "drop", "late", "lose"]]
)
def test_faults_end_in_one_commit(proxied, namespace, faults, capsys):
    proxied.faults.extend(faults)
    name = f"{namespace}/faults"
    sha = publish(name, "model", {"a": b"one"}, lineage(), "only once")
    assert not proxied.faults
    assert titles(name) == ["only once", "initial commit"]
    assert HfApi().model_info(name).sha == sha
    assert capsys.readouterr().out == f"published {name}@{sha}\n"


def test_endless_trouble_ends_in_an_error_and_no_commit(proxied, namespace, waits):
    proxied.faults.extend(["500"] * 100)
    with pytest.raises(HfHubHTTPError, match="500") as caught:
        publish(f"{namespace}/never", "model", {"a": b"one"}, lineage(), "never")
    assert "run again later" in str(explain(caught.value))
    assert len(waits) == module.ATTEMPTS - 1
    assert titles(f"{namespace}/never") == ["initial commit"]


def test_waits_as_long_as_the_hub_asks_and_no_longer_than_our_bound(proxied, namespace, waits):
    proxied.faults.extend(["429", "drop"])
    publish(f"{namespace}/patient", "model", {"a": b"one"}, lineage(), "m")
    assert waits == [7.0, 2.0]  # Retry-After, then our own second step
    assert module._seconds("3600", 1) == module.LONGEST_WAIT
    assert module._seconds("Wed, 21 Oct 2026 07:28:00 GMT", 1) == 1.0


def test_what_another_attempt_would_not_mend_is_not_tried_again(proxied, namespace, waits):
    proxied.faults.extend(["403"] * 2)
    with pytest.raises(HfHubHTTPError, match="403"):
        publish(f"{namespace}/forbidden", "model", {"a": b"one"}, lineage(), "m")
    assert waits == []
    assert len(proxied.faults) == 1


@pytest.fixture
def shared(proxied, namespace, monkeypatch):
    """A repository that somebody else commits to, at the fault `other` or once an answer of ours is lost."""
    name = f"{namespace}/shared"
    publish(name, "model", {"a": b"one", "b": b"same"}, lineage(), "first")

    def commits(path: str, faults: list[str]) -> str:
        proxied.other = lambda: HfApi().upload_file(
            path_or_fileobj=b"theirs", path_in_repo=path, repo_id=name, commit_message="theirs"
        )
        if faults == ["lose"]:
            monkeypatch.setattr(module.time, "sleep", lambda seconds: proxied.other())
        proxied.faults.extend(faults)
        return name

    return commits


@pytest.mark.parametrize("faults", [["other"], ["500", "other"]])
def test_ours_goes_on_top_of_theirs_where_they_touched_something_else(shared, faults):
    name = shared("theirs", faults)
    publish(name, "model", {"a": b"two", "b": b"same"}, lineage(), "second")
    assert titles(name)[:2] == ["second", "theirs"]
    assert {"a", "b", "theirs"} <= set(HfApi().list_repo_files(name))


def test_theirs_on_top_of_a_lost_answer_is_kept(shared):
    name = shared("theirs", ["lose"])
    sha = publish(name, "model", {"a": b"two", "b": b"same"}, lineage(), "second")
    history = HfApi().list_repo_commits(name)
    assert [commit.title for commit in history][:2] == ["theirs", "second"]
    assert sha == history[1].commit_id


@pytest.mark.parametrize("faults", [["other"], ["500", "other"], ["lose"]])
def test_what_somebody_else_changed_is_never_overwritten(shared, faults):
    name = shared("a", faults)
    with pytest.raises(UserError, match=r"somebody else meanwhile \(a\)"):
        publish(name, "model", {"a": b"two", "b": b"same"}, lineage(), "second")
    assert titles(name)[0] == "theirs"
    assert httpx2.get(f"{HfApi().endpoint}/{name}/resolve/main/a").content == b"theirs"


def test_a_rehearsal_says_it_all_and_sends_nothing(namespace, capsys):
    name = f"{namespace}/dry"
    module.rehearse(name, "model", {"README.md": b"# One\n", "a": b"one"}, lineage())
    said = capsys.readouterr().out
    assert f"model {name}: would be one commit on not there yet" in said
    assert "  new       a (3 bytes)" in said
    assert not HfApi().repo_exists(name)
    publish(name, "model", {"README.md": b"# One\n", "a": b"one", "b": b"b"}, lineage(), "m")
    capsys.readouterr()
    module.rehearse(name, "model", {"README.md": b"# Two\n", "a": b"one"}, lineage())
    said = capsys.readouterr().out.splitlines()
    assert "  unchanged a (3 bytes)" in said
    assert "  deleted   b" in said
    assert said[-2:] == ["-# One", "+# Two"]
    assert titles(name) == ["m", "initial commit"]


def test_trouble_before_anything_was_sent_is_still_unchanged(namespace, waits, monkeypatch, capsys):
    name = f"{namespace}/calm"
    sha = publish(name, "model", {"a": b"one"}, lineage(), "first")
    present, broken = module._present, iter([httpx2.ReadTimeout("slow")])

    def sometimes(*arguments):
        for error in broken:
            raise error
        return present(*arguments)

    monkeypatch.setattr(module, "_present", sometimes)
    assert publish(name, "model", {"a": b"one"}, lineage(), "again") == sha
    assert capsys.readouterr().out.splitlines()[-1] == f"unchanged {name}@{sha}"


def test_a_hub_that_is_down_is_one_line(monkeypatch, waits):
    address = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: HfApi(endpoint=address))
    with pytest.raises(httpx2.ConnectError) as caught:
        publish("a/b", "model", {}, lineage(), "m")
    assert "does not answer" in str(explain(caught.value))
    assert len(waits) == module.ATTEMPTS - 1
