"""Batch API against the stub: sent once, collected later."""

import json

import pytest

from eval.judge.batch import BatchPending
from eval.judge.client import Client
from eval.judge.settings import JudgeSettings
from hub.errors import UserError
from tests.support.judging import question


def test_a_batch_is_sent_once_collected_later_and_what_went_wrong_is_asked_again(served, tmp_path, capsys):
    stub, settings = served(batch=True, faults=0.2)
    requests = [question(n) for n in range(120)]
    plain_settings = JudgeSettings(**{**vars(settings), "batch": False})
    for says in ("is on its way", "is in_progress"):
        with Client(settings, tmp_path / "c") as client, pytest.raises(BatchPending, match=says):
            client.ask(requests)
    assert len(stub.batches) == 1
    stub.faults = 0
    with Client(settings, tmp_path / "c") as client:
        answers = client.ask(requests)  # a fifth of 120 is few enough to be asked directly
        assert len(client.cache) == 120
        assert client.budget.calls == 120
    assert "batch batch-0 completed" in capsys.readouterr().out
    assert len(stub.batches) == 1
    assert all(answer.first for answer in answers)
    stub.calls = 0
    with Client(plain_settings, tmp_path / "c") as client:
        assert client.ask(requests) == answers
    assert stub.calls == 0


def test_a_batch_too_dear_is_not_sent_and_an_endpoint_without_them_is_said(served, tmp_path, monkeypatch):
    stub, settings = served(batch=True, budget=0.001, price_in=1000.0, price_out=1000.0)
    with Client(settings, tmp_path / "c") as client, pytest.raises(UserError, match="budget"):
        client.ask([question(n) for n in range(120)])
    assert not stub.files
    other, settings = served(batch=True)
    monkeypatch.setattr(other, "other", lambda *arguments: (404, {"error": {"message": "no"}}))
    with Client(settings, tmp_path / "d") as client, pytest.raises(UserError, match="no Batch API"):
        client.ask([question(n) for n in range(120)])


def test_what_a_batch_filters_is_kept_as_refused(served, tmp_path):
    stub, settings = served(batch=True)
    error = {"error": {"message": "Flagged by the content policy.", "code": "content_policy_violation"}}
    stub.rejects = lambda body: (400, error) if "Line 1" in body["messages"][-1]["content"] else None
    requests = [question(n) for n in range(120)]
    for _ in range(2):
        with Client(settings, tmp_path / "c") as client, pytest.raises(BatchPending):
            client.ask(requests)
    with Client(settings, tmp_path / "c") as client:
        answers = client.ask(requests)
    assert sum(answer.refused for answer in answers) == 31  # 1, 10 to 19, 100 to 119
    assert stub.calls == 120  # the batch's own lines, none of them asked again


def test_an_answer_with_other_line_ends_in_it_is_one_line(served, tmp_path):
    """U+2028 may stand in a JSON string as it is, and an endpoint need not escape it."""
    stub, settings = served(batch=True)
    other = stub.other

    def unescaped(method, path, body):
        status, content = other(method, path, body)
        if not path.rstrip("/").endswith("content") or not content:
            return status, content
        lines = [json.loads(line) for line in content.split(b"\n")]
        for line in lines:
            line["response"]["body"]["note"] = "one\u2028two\x85three"
        return status, "\n".join(json.dumps(line, ensure_ascii=False) for line in lines).encode()

    stub.other = unescaped
    requests = [question(n) for n in range(120)]
    for _ in range(2):
        with Client(settings, tmp_path / "c") as client, pytest.raises(BatchPending):
            client.ask(requests)
    with Client(settings, tmp_path / "c") as client:
        assert all(answer.first for answer in client.ask(requests))
    assert stub.calls == 120  # the batch's own lines, none of them asked again
