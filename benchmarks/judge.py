"""Benchmark of the judge client and what stands around it: `python -m benchmarks.judge [--calls 24000]`.

Calls go to the stub judge in a process of its own, at half a second an answer and 64 in flight: the bound is 64 / 0.5 a
second. The same calls are made by a raw `http.client` loop of as many threads, in the same run. Beside it: the memory
that the calls take, the same calls again from the cache, 10,000 prompts freed of near-duplicates, and replies of the
starter in batches against one at a time.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.harness import finish_benchmark, peak_memory, timed

LATENCY, CONCURRENCY = 0.5, 64
BARS: dict[str, tuple[str, float]] = {
    "calls_over_bound": (">=", 0.85),
    "memory_growth_mb": ("<=", 300),
    "repeat_seconds": ("<=", 20),
    "dedup_seconds": ("<=", 30),
    "bulk_over_single": (">=", 5),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=24_000, help="default: %(default)s, as G-Eval makes")
    parser.add_argument("--prompts", type=int, default=10_000, help="to free of near-duplicates (default: %(default)s)")
    parser.add_argument("--replies", type=int, default=192, help="of the starter (default: %(default)s)")
    given = parser.parse_args(argv)
    import openai

    print(
        f"{given.calls:,} calls of {LATENCY} s, {CONCURRENCY} in flight; Python {platform.python_version()}, ", end=""
    )
    print(f"Python {platform.python_version()}, openai {openai.__version__}, {os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        figures = (
            calls(given.calls, Path(scratch)) | {"dedup_seconds": deduplicate(given.prompts)} | bulk(given.replies)
        )
    figures = {name: round(value, 3) for name, value in figures.items()}
    print("\n| what | value |\n|---|---:|")
    for name, value in figures.items():
        print(f"| {name} | {value:,} |")
    finish_benchmark(figures, BARS)


def calls(count: int, scratch: Path) -> dict[str, float]:
    """The client, the raw loop, and the client again with everything in its cache."""
    from eval.judge.client import Client
    from eval.judge.messages import Request
    from eval.judge.settings import JudgeSettings

    texts = [f"Line {n}\nReply A: Yes {n}.\nReply B: No {n}.\nWhich?" for n in range(count)]
    requests = [Request((("user", text),), 1, logprobs=20) for text in texts]
    command = [sys.executable, "-m", "eval.judge.stub", "--latency", str(LATENCY)]
    os.environ["JUDGE_KEY"] = "none"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        url = server.stdout.readline().strip()
        settings = JudgeSettings(model="stub", base_url=url, key_env="JUDGE_KEY", in_flight=CONCURRENCY)
        try:
            with Client(settings, scratch / "judge.sqlite", progress=False) as client:
                client.ask(requests[:CONCURRENCY])  # connections are open, and everything is imported
                before = peak_memory() / 1e6
                seconds = timed(lambda: client.ask(requests[CONCURRENCY:]))
                growth = peak_memory() / 1e6 - before
            with Client(settings, scratch / "judge.sqlite", progress=False) as client:
                repeat = timed(lambda: client.ask(requests))
                assert client.budget.calls == 0
            raw = timed(lambda: raw_loop(url, texts[CONCURRENCY:]))
        finally:
            server.kill()
    rate = (count - CONCURRENCY) / seconds
    return {
        "calls_per_second": rate,
        "calls_over_bound": rate / (CONCURRENCY / LATENCY),
        "calls_over_raw": raw / seconds,
        "memory_growth_mb": growth,
        "repeat_seconds": repeat,
    }


def raw_loop(url: str, texts: list[str]) -> None:
    """The same calls by the standard library alone: a connection a thread, nothing kept."""
    address, waiting = urlsplit(url), iter(texts)

    def work() -> None:
        connection = http.client.HTTPConnection(address.hostname or "", address.port)
        for text in waiting:  # a list's iterator hands each entry to one thread
            body = {"model": "stub", "messages": [{"role": "user", "content": text}], "max_completion_tokens": 1}
            body |= {"logprobs": True, "top_logprobs": 20}
            connection.request("POST", f"{address.path}/chat/completions", json.dumps(body))
            json.loads(connection.getresponse().read())
        connection.close()

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        for done in [pool.submit(work) for _ in range(CONCURRENCY)]:
            done.result()


def deduplicate(count: int) -> float:
    """Seconds for made-up lines of 4 to 20 of 5,000 words, a tenth of them near-duplicates."""
    from training.feedback.near_duplicates import near_duplicates

    rng = random.Random(1)
    vocabulary = [f"word{n}" for n in range(5_000)]
    lines = [rng.choices(vocabulary, k=rng.randint(4, 20)) for _ in range(count - count // 10)]
    lines += [[*line[:-1], "other"] for line in lines[: count // 10]]
    return timed(lambda: near_duplicates([" ".join(line) for line in lines]))


def bulk(count: int) -> dict[str, float]:
    """Replies a second in batches over replies a second one at a time, greedily, so that both say the same."""
    from chat.generate import generate
    from chat.sampling import Sampling
    from chat.variants import ModelRef, load_variants

    variants = load_variants(ModelRef("training/starter"))
    prompts = [[{"role": "user", "content": f"{PROMPT_LINES[n % len(PROMPT_LINES)]} {n}?"}] for n in range(count)]
    sampling, singles = Sampling(temperature=0, max_new_tokens=32), prompts[: max(8, count // 8)]
    generate(variants, prompts[:2], ["base"] * 2, sampling)
    together: list[Any] = []
    seconds = timed(lambda: together.extend(generate(variants, prompts, ["base"] * count, sampling)))
    alone: list[Any] = []
    one = timed(lambda: alone.extend(generate(variants, [prompt], ["base"], sampling)[0] for prompt in singles))
    same = sum(a.text == b.text for a, b in zip(alone, together, strict=False)) / len(alone)
    return {"bulk_over_single": (count / seconds) / (len(singles) / one), "bulk_same_replies": same}


PROMPT_LINES = (
    "Where were you last night",
    "You said you would never come back",
    "Who is it",
    "Somebody is following us",
)


if __name__ == "__main__":
    main()
