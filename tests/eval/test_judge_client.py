"""The judge client against a stub over real HTTP: paid once, in time, stopped by what does not pass."""

import json
import math
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

import httpx2
import pytest

from eval.judge.batch import BatchPending
from eval.judge.budget import Budget, RateLimiter
from eval.judge.cache import Cache
from eval.judge.capabilities import Capabilities, probe
from eval.judge.client import Client
from eval.judge.messages import Answer, Request, distribution
from eval.judge.prices import BATCH, PRICES, price_of
from eval.judge.protocol import parse_retry_after
from eval.judge.settings import JudgeSettings
from hub.errors import UserError
from hub.local import free_port


def question(number: int, **options) -> Request:
    text = f"Line {number}\nReply A: Yes {number}.\nReply B: No {number}.\nWhich?"
    return Request((("user", text),), 1, logprobs=20, **options)


# ---- probabilities


@pytest.mark.parametrize(
    ("alternatives", "labels", "expected", "mass"),
    [
        ([("A", 0.6), ("B", 0.2)], "AB", {"A": 0.75, "B": 0.25}, 0.8),
        ([("A", 0.3), (" A", 0.3), ("A\n", 0.1), ("B", 0.1)], "AB", {"A": 0.875, "B": 0.125}, 0.8),
        ([("A", 0.9)], "AB", {"A": 1.0, "B": 0.0}, 0.9),
        ([("a", 0.5), ("The", 0.4), ("AB", 0.1)], "AB", None, None),
        ([], "AB", None, None),
        (
            [("4", 0.5), (" 4", 0.1), ("5", 0.2), ("10", 0.1), ("1", 0.05)],
            "12345",
            {"4": 0.6 / 0.85, "5": 0.2 / 0.85, "1": 0.05 / 0.85, "2": 0, "3": 0},
            0.85,
        ),
    ],
)
def test_probabilities_are_read_exactly(alternatives, labels, expected, mass):
    found = distribution([(token, math.log(p)) for token, p in alternatives], labels)
    if expected is None:
        assert found is None
    else:
        assert found.probabilities == pytest.approx(expected, abs=1e-9)
        assert found.mass == pytest.approx(mass, abs=1e-9)


def test_the_weighted_mean_of_sampled_scores_is_their_mean():
    chance = random.Random(5)
    scores = [chance.randint(1, 5) for _ in range(20)]
    found = distribution([(str(score), math.log(1 / 20)) for score in scores], "12345")
    assert found.mean() == pytest.approx(sum(scores) / 20, abs=1e-12)


# ---- paid once


def test_answers_come_in_order_and_are_paid_once(served, tmp_path):
    stub, settings = served()
    requests = [question(n % 30) for n in range(40)]
    with Client(settings, tmp_path / "c.sqlite") as client:
        answers = client.ask(requests)
        assert stub.calls == 30
        assert answers[0] == answers[30] != answers[1]
        assert client.purse.calls == 30
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
        assert client.asked == other.asked


def test_in_flight_is_bounded_and_used(served, tmp_path):
    stub, settings = served(latency=0.1, in_flight=5)
    with Client(settings, tmp_path / "c") as client:
        client.ask([question(n) for n in range(20)])
    assert stub.highest == 5


def test_limits_hold():
    limit, started = RateLimiter(600), time.monotonic()
    for _ in range(5):
        limit.wait()
    assert 0.39 < time.monotonic() - started < 0.8
    assert RateLimiter(None).wait() is None


# ---- faults


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


# ---- money


def test_a_budget_is_never_passed(served, tmp_path):
    stub, settings = served(price_in=1000.0, price_out=1000.0, budget=0.5, in_flight=8)
    with Client(settings, tmp_path / "c") as client:
        with pytest.raises(UserError, match=r"budget of \$0.50"):
            client.ask([question(n) for n in range(500)])
        assert 0.2 < client.purse.spent() <= 0.5
        paid = client.purse.calls
        assert paid == stub.calls == len(client.cache)
    with pytest.raises(UserError, match="not known"):
        Budget(None, 1.0)


def test_prices_are_said_or_unknown():
    assert price_of(JudgeSettings(model="gpt-4o-mini")) == PRICES["gpt-4o-mini"]
    assert price_of(JudgeSettings(model="gpt-4o-mini", batch=True)).prompt == PRICES["gpt-4o-mini"].prompt * BATCH
    assert price_of(JudgeSettings(model="gpt-4o-mini", base_url="http://elsewhere")) is None
    assert price_of(JudgeSettings(model="new", price_in=1, price_out=2)).of(1_000_000, 500_000) == 2
    assert "price unknown" in Budget(None, None).told()


# ---- batches


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
        assert client.purse.calls == 120
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


# ---- the probe


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ({}, Capabilities(4, True, True, True)),
        ({"alternatives": 2}, Capabilities(2, True, True, True)),
        ({"most": 5}, Capabilities(4, True, True, True)),
        ({"alternatives": 0}, Capabilities(0, True, True, True)),
        ({"refuses": ("logprobs", "temperature")}, Capabilities(0, False, True, True)),
        ({"ignores": ("n",), "refuses": ("response_format",)}, Capabilities(4, True, False, False)),
    ],
)
def test_an_endpoint_is_probed_once_and_its_mode_said(served, tmp_path, capsys, options, mode):
    stub, settings = served(**options)
    stub.labels = lambda prompt: {"A": 0.9, "B": 0.1} if mode.alternatives else {}
    stub.tops = lambda labels: [("A", -0.1), ("B", -2.0), ("C", -3.0), ("D", -4.0)]
    with Client(settings, tmp_path / "c") as client:
        assert probe(client) == mode
        calls = stub.calls
        assert probe(client) == mode
        assert stub.calls == calls
    assert f"stub at {settings.base_url}/: {mode.told()}" in capsys.readouterr().out


# ---- the cache


def test_a_damaged_cache_and_a_full_disk_are_one_line(tmp_path, monkeypatch):
    path = tmp_path / "c.sqlite"
    with_one = Cache(path)
    with_one.put("k", Answer(("yes",)))
    assert with_one.get("k") == Answer(("yes",))
    assert with_one.get("none") is None
    with_one.close()
    path.write_bytes(path.read_bytes()[:700] + b"\xff" * 3000)
    with pytest.raises(UserError, match="damaged"):
        Cache(path)
    path.write_bytes(b"not a database, " * 100)
    with pytest.raises(UserError, match="damaged"):
        Cache(path)
    path.unlink()
    cache = Cache(path)

    def full(*arguments):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(cache, "_connection", type("Full", (), {"execute": full})())
    with pytest.raises(UserError, match="disk is full"):
        cache.put("k", Answer(("yes",)))


def test_retry_after():
    assert parse_retry_after("1.5") == 1.5
    assert parse_retry_after("Wed, 21 Oct 2026 07:28:00 GMT") is None
    assert parse_retry_after(None) is None
    assert parse_retry_after("-3") == 0


# ---- killed

ASK = """
import sys, json
from pathlib import Path
from eval.judge.client import Client
from eval.judge.settings import JudgeSettings
from eval.judge.messages import Request
url, cache, n = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
texts = [f"Line {i}\\nReply A: Yes {i}.\\nReply B: No {i}.\\nWhich?" for i in range(n)]
requests = [Request((("user", text),), 1, logprobs=20) for text in texts]
settings = JudgeSettings(model="stub", base_url=url, key_env="HOME", timeout=10)
with Client(settings, cache, progress=False) as client:
    answers = client.ask(requests)
    print(json.dumps([len(answers), client.purse.calls, all(a.first for a in answers)]))
"""


@pytest.mark.timeout(1200)
def test_killed_again_and_again_everything_is_answered_and_little_is_paid_twice(tmp_path):
    count, kills = (24_000, 5) if os.environ.get("REPARTEE_PROOF") else (2_400, 2)
    kinds = "('429', '500', 'cut', 'json', 'no logprobs')"
    code = (
        "import asyncio; from eval.judge.stub import Stub, run\n"
        f"stub = Stub(latency=0.25, faults=0.05, kinds={kinds})\n"
        "asyncio.run(run(stub, 0, lambda port: print(f'http://127.0.0.1:{port}/v1', flush=True)))"
    )
    chance = random.Random(1)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as server:
        url = server.stdout.readline().strip()
        command = [sys.executable, "-c", ASK, url, str(tmp_path / "c.sqlite"), str(count)]
        for _ in range(kills):
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                time.sleep(chance.uniform(2.5, 4.5) * (6 if count > 10_000 else 1))
                process.send_signal(signal.SIGKILL)
        before = len(Cache(tmp_path / "c.sqlite"))
        assert 0 < before < count
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == [count, count - before, True]
        stats = httpx2.get(url.replace("/v1", "/stats"), trust_env=False).json()
        answered_badly = 0.05 * 3 / 5 * count  # cut, json, no logprobs: answered, and of no use
        assert stats["twice"] <= kills * 64 + 1.5 * answered_badly
        assert stats["highest"] <= 64
        again = subprocess.run(command, capture_output=True, text=True, check=True)
        assert json.loads(again.stdout) == [count, 0, True]
        assert httpx2.get(url.replace("/v1", "/stats"), trust_env=False).json()["calls"] == stats["calls"]
        server.kill()
