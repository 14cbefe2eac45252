"""Judge client against a stub over real HTTP: paid once, retried, stopped by permanent errors."""

import pytest

from eval.judge.client import Client
from eval.judge.settings import JudgeSettings
from hub.errors import UserError
from hub.local import free_port
from tests.support.judging import question


def test_answers_come_in_order_and_are_paid_once(served, tmp_path):
    stub, settings = served()
    requests = [question(n % 30) for n in range(40)]
    with Client(settings, tmp_path / "c.sqlite") as client:
        answers = client.ask(requests)
        assert stub.calls == 30
        assert answers[0] == answers[30] != answers[1]
        assert client.budget.calls == 30
        assert all(answer.first for answer in answers)
    with Client(settings, tmp_path / "c.sqlite") as client:
        assert client.ask(requests) == answers
    assert stub.calls == 30


def test_what_changes_an_answer_changes_the_key_and_nothing_else_does(served, tmp_path):
    _, settings = served()
    one = question(1)
    others = [question(2), question(1, salt=1), question(1, n=2), question(1, temperature=0.5)]
    keys = {request.key("url", "model", None) for request in (one, *others)}
    keys |= {one.key("other", "model", None), one.key("url", "m", None), one.key("url", "model", "low")}
    assert len(keys) == 8
    faster = JudgeSettings(**{**vars(settings), "in_flight": 2, "timeout": 5})
    with Client(settings, tmp_path / "a") as client, Client(faster, tmp_path / "b") as other:
        assert client.endpoint.identity == other.endpoint.identity


def test_in_flight_is_bounded_and_used(served, tmp_path):
    stub, settings = served(latency=0.1, in_flight=5)
    with Client(settings, tmp_path / "c") as client:
        client.ask([question(n) for n in range(20)])
    assert stub.highest == 5


def test_what_passes_is_tried_again_and_everything_is_answered(served, tmp_path, monkeypatch):
    _, settings = served(faults=0.3, timeout=0.4)
    monkeypatch.setattr("eval.judge.client.random.uniform", lambda low, high: 0.05)
    with Client(settings, tmp_path / "c") as client:
        answers = client.ask([question(n) for n in range(150)])
        assert client.retries > 20
    assert all(len(answer.texts) == 1 and answer.first for answer in answers)
    assert len({answer.first for answer in answers}) == 150


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"always": "401"}, "refuses the key in JUDGE_KEY"),
        ({"always": "403"}, "refuses the key in JUDGE_KEY"),
        ({"always": "insufficient_quota"}, "no quota is left"),
        ({"always": "402"}, "no quota is left"),
        ({"always": "404"}, "check judge.model"),
        ({"refuses": ("logprobs",)}, "refuses the request (400)"),
    ],
)
def test_what_does_not_pass_stops_at_once_with_one_line(served, tmp_path, options, says):
    stub, settings = served(**options)
    with Client(settings, tmp_path / "c") as client, pytest.raises(UserError) as caught:
        client.ask([question(n) for n in range(500)])
    line = str(caught.value)
    assert says in line
    assert "\n" not in line
    assert stub.calls <= 2 * settings.in_flight


@pytest.mark.parametrize("kind", ["refusal", "content_filter"])
def test_a_refusal_is_an_answer_that_cannot_be_read_and_is_not_asked_for_again(served, tmp_path, kind):
    stub, settings = served()
    whole = stub.answer

    def answer(body):
        found = whole(body)
        if "Line 3\n" in body["messages"][-1]["content"]:
            said = {"role": "assistant", "content": None, "refusal": "No." if kind == "refusal" else None}
            found["choices"] = [{"index": 0, "finish_reason": kind, "message": said, "logprobs": {"content": None}}]
            found["choices"][0]["finish_reason"] = "stop" if kind == "refusal" else kind
        return found

    stub.answer = answer
    with Client(settings, tmp_path / "c") as client:
        answers = client.ask([question(n) for n in range(10)])
        assert client.retries == 0
    assert stub.calls == 10
    assert answers[3].first == ()
    assert all(answer.first for place, answer in enumerate(answers) if place != 3)


def test_a_judge_that_is_not_there_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("JUDGE_KEY", "x")
    monkeypatch.setattr("eval.judge.client.random.uniform", lambda low, high: 0.0)
    settings = JudgeSettings(model="m", base_url=f"http://127.0.0.1:{free_port()}/v1", key_env="JUDGE_KEY")
    with Client(settings, tmp_path / "c") as client, pytest.raises(UserError, match="in trouble"):
        client.ask([question(1)])


def test_without_model_or_key_it_says_so(monkeypatch, tmp_path):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for settings, says in ((JudgeSettings(), "judge.model"), (JudgeSettings(model="gpt-4o"), "OPENAI_API_KEY")):
        with pytest.raises(UserError, match=says):
            Client(settings, tmp_path / "c")
