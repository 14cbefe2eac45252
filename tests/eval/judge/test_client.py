"""Judge client against a stub over real HTTP: paid once, retried, stopped by permanent errors."""

import time

import pytest

from eval.judge.client import EMPTY_ATTEMPTS, Client
from eval.judge.protocol import prompt_tokens_bound
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


def test_a_judge_that_is_not_there_is_one_line_within_seconds(monkeypatch, tmp_path):
    monkeypatch.setenv("JUDGE_KEY", "x")
    settings = JudgeSettings(model="m", base_url=f"http://127.0.0.1:{free_port()}/v1", key_env="JUDGE_KEY")
    started = time.monotonic()
    with (
        Client(settings, tmp_path / "c") as client,
        pytest.raises(UserError, match=r"refused.*3 times"),
    ):
        client.ask([question(1)])
    assert time.monotonic() - started < 5


FILTERED = {"error": {"message": "The response was filtered.", "code": "content_filter"}}


@pytest.mark.parametrize("kind", [400, 451, "no choices", "no message", "nothing"])
def test_a_filtered_prompt_is_kept_as_refused_counted_and_not_asked_again(served, tmp_path, capsys, monkeypatch, kind):
    stub, settings = served(price_in=1.0, price_out=1.0)
    whole = stub.answer

    def is_filtered(body):
        return any(f"Line {n}\n" in body["messages"][-1]["content"] for n in (4, 7))

    choice = {"index": 0, "finish_reason": "stop", "logprobs": None}
    found = {"no choices": [], "no message": [choice], "nothing": [choice | {"message": {"role": "assistant"}}]}
    if isinstance(kind, int):
        said = FILTERED if kind == 400 else {"error": {"message": "Not here."}}
        stub.rejects = lambda body: (kind, said) if is_filtered(body) else None
    else:
        stub.answer = lambda body: whole(body) | ({"choices": found[kind]} if is_filtered(body) else {})
    monkeypatch.setattr("eval.judge.client.MAX_BACKOFF", 0.01)
    for _ in range(2):
        with Client(settings, tmp_path / "c", progress=False) as client:
            answers = client.ask([question(n) for n in range(12)], "judging")
        assert [place for place, answer in enumerate(answers) if answer.refused] == [4, 7]
        assert stub.calls == 12 + (2 * (EMPTY_ATTEMPTS - 1) if kind in ("no message", "nothing") else 0)
        assert "judging: 2 of 12 refused or filtered" in capsys.readouterr().out


def test_without_usage_the_budget_still_holds(served, tmp_path):
    stub, settings = served(price_in=1000.0, price_out=1000.0, budget=0.5, in_flight=4)
    whole = stub.answer
    stub.answer = lambda body: {name: value for name, value in whole(body).items() if name != "usage"}
    with Client(settings, tmp_path / "c", progress=False) as client:
        with pytest.raises(UserError, match=r"budget of \$0.50"):
            client.ask([question(n) for n in range(500)])
        most = client.budget.price.of(prompt_tokens_bound(question(7)), 1)
        assert client.budget.spent() == pytest.approx(stub.calls * most, rel=0.03)
        assert 0.4 < client.budget.spent() <= 0.5
        assert f"{stub.calls} calls without usage" in client.budget.summarize()


def test_a_lost_answer_is_charged_as_its_most(served, tmp_path):
    stub, settings = served(price_in=1000.0, price_out=1000.0)
    whole, bad = stub.answer, [{"id": "x", "choices": [{"index": 0}]}]
    stub.answer = lambda body: bad.pop() if bad else whole(body)
    with Client(settings, tmp_path / "c", progress=False) as client:
        (answer,) = client.ask([question(7)])
        lost = client.budget.price.of(prompt_tokens_bound(question(7)), 1)
        used = client.budget.price.of(answer.prompt_tokens, answer.answer_tokens)
        assert client.budget.calls == 1
        assert client.budget.spent() == pytest.approx(lost + used)


@pytest.mark.parametrize(
    "extra",
    [
        {"detail": [{"type": "extra_forbidden", "loc": ["body", "max_completion_tokens"]}]},
        "Unknown field: max_completion_tokens",
        "Extra inputs are not permitted",
    ],
)
def test_max_tokens_where_the_newer_name_is_not_known(served, tmp_path, extra):
    stub, settings = served()
    seen = []

    def rejects(body):
        seen.append(body.get("max_tokens"))
        return (422, {"object": "error", "message": extra}) if "max_completion_tokens" in body else None

    stub.rejects = rejects
    with Client(settings, tmp_path / "c", progress=False) as client:
        assert all(answer.first for answer in client.ask([question(n) for n in range(40)]))
        assert client.endpoint.token_limit == "max_tokens"
        client.ask([question(99)])
    assert seen[-1] == 1  # at once by the name that is known
    assert seen.count(1) == 41


@pytest.mark.parametrize("body", [b"", b"{", b"\x00"])
def test_an_endpoint_that_never_gave_json_is_one_line_soon(served, tmp_path, monkeypatch, body):
    stub, settings = served()
    stub.rejects = lambda asked: (200, body)
    monkeypatch.setattr("eval.judge.client.MAX_BACKOFF", 0.01)
    with Client(settings, tmp_path / "c") as client, pytest.raises(UserError, match=r"in trouble|no JSON"):
        client.ask([question(1)])
    assert stub.calls <= 3


def test_a_web_page_for_an_answer_ends_at_once(served, tmp_path):
    stub, settings = served()
    stub.rejects = lambda body: (200, b"<!doctype html><title>Hello</title>")
    with (
        Client(settings, tmp_path / "c") as client,
        pytest.raises(UserError, match="a web page; check"),
    ):
        client.ask([question(1)])
    assert stub.calls == 1


@pytest.mark.parametrize("address", ["127.0.0.1:8000/v1", "htp://x/v1", "http://", "localhost"])
def test_an_address_without_a_scheme_is_refused_before_anything_is_asked(address):
    with pytest.raises(ValueError, match="takes a whole address"):
        JudgeSettings(model="m", base_url=address)


def test_what_is_pasted_loses_its_white_space(served, tmp_path, monkeypatch):
    _, settings = served()
    monkeypatch.setenv("JUDGE_KEY", "  sk-test\n")
    pasted = JudgeSettings(model="stub\n", base_url=f" {settings.base_url}\n", key_env="JUDGE_KEY ")
    with Client(pasted, tmp_path / "c", progress=False) as client:
        assert client.ask([question(1)])[0].first
        assert client.endpoint.openai.api_key == "sk-test"
    monkeypatch.setenv("JUDGE_KEY", "sk-one\nsk-two")
    with pytest.raises(UserError, match="JUDGE_KEY holds a space, a line break") as caught:
        Client(settings, tmp_path / "c")
    assert "sk-" not in str(caught.value)


def test_without_model_or_key_it_says_so(monkeypatch, tmp_path):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for settings, says in ((JudgeSettings(), "judge.model"), (JudgeSettings(model="gpt-4o"), "OPENAI_API_KEY")):
        with pytest.raises(UserError, match=says):
            Client(settings, tmp_path / "c")
