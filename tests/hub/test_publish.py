"""Publishing: one commit, nothing twice, through a Hub that drops, delays and fails."""

import os
import random

import httpx2
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from hub import publish as module
from hub.errors import UserError, explain
from hub.lineage import Input, Lineage
from hub.local import free_port
from hub.publish import publish
from tests.support.fault_proxy import FaultProxy


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


@pytest.fixture
def waits(monkeypatch):
    """The seconds that publishing wanted to wait, without the waiting."""
    asked: list[float] = []
    monkeypatch.setattr(module.time, "sleep", asked.append)
    return asked


@pytest.fixture
def proxied(hub_url, monkeypatch, waits):
    """A client whose commits go through a proxy with faults."""
    with FaultProxy(hub_url) as proxy:
        monkeypatch.setattr("huggingface_hub.HfApi", lambda: HfApi(endpoint=proxy.url))
        yield proxy


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
    module.preview_publish(name, "model", {"README.md": b"# One\n", "a": b"one"}, lineage())
    said = capsys.readouterr().out
    assert f"model {name}: would be one commit on not there yet" in said
    assert "  new       a (3 bytes)" in said
    assert not HfApi().repo_exists(name)
    publish(name, "model", {"README.md": b"# One\n", "a": b"one", "b": b"b"}, lineage(), "m")
    capsys.readouterr()
    module.preview_publish(name, "model", {"README.md": b"# Two\n", "a": b"one"}, lineage())
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


@pytest.mark.parametrize("seed", range(300 if os.environ.get("REPARTEE_PROOF") else 12))
def test_whatever_happens_on_the_way_it_ends_complete_or_with_a_clear_error(proxied, namespace, seed):
    """A fifth of all requests go wrong, of every kind; small files and a large one, on top of an older commit."""
    name, chance = f"{namespace}/chaos", random.Random(seed)
    old = {"a": b"old", "gone": b"gone"}
    publish(name, "model", old, lineage(), "old")
    files = {"a": b"new", "sub/b": chance.randbytes(30_000), "w.safetensors": chance.randbytes(300_000)}
    proxied.chaos = chance
    trouble = None
    try:
        sha = publish(name, "model", files, lineage(), "new")
    except Exception as error:
        trouble = error
    proxied.chaos = None
    assert titles(name) in ([["new", "old", "initial commit"]] + [["old", "initial commit"]] * bool(trouble))
    if trouble:
        assert str(explain(trouble)) != "None", repr(trouble)
    else:
        assert HfApi().model_info(name).sha == sha
    expected = files if titles(name)[0] == "new" else old
    assert set(HfApi().list_repo_files(name)) == {".gitattributes", "lineage.json", *expected}
    for path, content in expected.items():
        assert httpx2.get(f"{HfApi().endpoint}/{name}/resolve/main/{path}").content == content
