"""SIGKILL of the judge client again and again: everything is answered, and little is paid twice."""

import json
import signal
import subprocess
import sys
import time
from functools import partial

import httpx2
import pytest

from eval.judge.cache import Cache
from tests.support.proof import repetitions

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
    print(json.dumps([len(answers), client.budget.calls, all(a.first for a in answers)]))
"""


@pytest.mark.timeout(1200)
def test_killed_again_and_again_everything_is_answered_and_little_is_paid_twice(tmp_path):
    count, kills = (repetitions(24_000, 1_200), repetitions(5, 2))
    kinds = "('429', '500', 'cut', 'json', 'no logprobs')"
    code = (
        "import asyncio; from eval.judge.stub import Stub, serve_stub\n"
        f"stub = Stub(latency=0.25, faults=0.05, kinds={kinds})\n"
        "asyncio.run(serve_stub(stub, 0, lambda port: print(f'http://127.0.0.1:{port}/v1', flush=True)))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as server:
        try:
            url = server.stdout.readline().strip()
            command = [sys.executable, "-c", ASK, url, str(tmp_path / "c.sqlite"), str(count)]
            stats_of = partial(httpx2.get, url.replace("/v1", "/stats"), trust_env=False)
            for kill in range(1, kills + 1):
                with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                    while stats_of().json()["calls"] < kill * count / (kills + 2):
                        assert process.poll() is None
                        time.sleep(0.05)
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                time.sleep(0.5)  # the stub still answers what was asked: longer than its latency
            before = len(Cache(tmp_path / "c.sqlite"))
            assert 0 < before < count
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            assert json.loads(done.stdout) == [count, count - before, True]
            stats = stats_of().json()
            answered_badly = 0.05 * 3 / 5 * count  # cut, json, no logprobs: answered, and of no use
            assert stats["twice"] <= kills * 64 + 1.5 * answered_badly
            assert stats["highest"] <= 64
            again = subprocess.run(command, capture_output=True, text=True, check=True)
            assert json.loads(again.stdout) == [count, 0, True]
            assert stats_of().json()["calls"] == stats["calls"]
        finally:
            server.kill()
