"""Resumable bulk generation: the file's format stays, and any generator may fill it."""

import json

import pytest

from chat import resumable
from chat.generate import FinishReason, Reply
from chat.resumable import WORTH_PROBING, generate_resumable
from chat.sampling import Sampling
from tests.support.scenes import user_prompts


class Counting:
    """Generates the seed and the line; notes what it was asked."""

    def __init__(self):
        self.requests = []

    def replies(self, prompts, names, sampling, seed):
        self.requests.append((len(prompts), names, seed))
        return [Reply(f"{seed} {prompt[-1]['content']}", FinishReason.END_OF_TURN, 3) for prompt in prompts]


def test_a_file_of_an_earlier_version_is_carried_on(tmp_path):
    """Rows are {"text", "ended", "tokens"}, as they always were; a torn line is generated again."""
    path, prompts = tmp_path / "sft.jsonl", user_prompts(*"abcde")
    whole = generate_resumable(tmp_path / "whole.jsonl", Counting(), prompts, ["sft"] * 5, Sampling(), 1, chunk=2)
    rows = [json.loads(line) for line in (tmp_path / "whole.jsonl").read_text().splitlines()]
    assert rows[0] == {"text": "1000003 a", "ended": "<|im_end|>", "tokens": 3}
    lines = [json.dumps({"text": reply.text, "ended": "<|im_end|>", "tokens": 3}) for reply in whole]
    path.write_text("\n".join(lines[:3]) + "\n{torn")
    generator = Counting()
    assert generate_resumable(path, generator, prompts, ["sft"] * 5, Sampling(), 1, chunk=2) == whole
    assert generator.requests == [(2, ["sft"] * 2, 1_000_005), (1, ["sft"], 1_000_007)]
    assert path.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_every_finish_reason_comes_back_from_its_row():
    for reason, published in zip(FinishReason, ("<|im_end|>", "<|endoftext|>", "length", "stop"), strict=True):
        reply = Reply("No.", reason, 2)
        assert reply.to_row() == {"text": "No.", "ended": published, "tokens": 2}
        assert type(reply.to_row()["ended"]) is str
        assert Reply.from_row(reply.to_row()) == reply


@pytest.fixture
def two_ways(monkeypatch):
    """Two ways to generate, and the seconds that a reply of each takes."""
    found, seconds, now = {"engine": Counting(), "generate": Counting()}, {"engine": 1.0, "generate": 3.0}, [0.0]

    def ask(way):
        def replies(prompts, names, sampling, seed):
            now[0] += len(prompts) * seconds[way]
            return [
                Reply(f"{way} {reply.text}", reply.finish_reason, 3)
                for reply in found[way].replies(prompts, names, sampling, seed)
            ]

        return replies

    monkeypatch.setattr(resumable, "_ways", lambda generator, names: {way: ask(way) for way in found})
    monkeypatch.setattr(resumable.time, "perf_counter", lambda: now[0])
    return found, seconds


def run(path, count):
    prompts = user_prompts(*map(str, range(count)))
    return generate_resumable(path, Counting(), prompts, ["sft"] * count, Sampling(), 1, chunk=100)


@pytest.mark.parametrize(("slower", "taken"), [("generate", "engine"), ("engine", "generate")])
def test_many_replies_take_the_way_that_is_faster_on_the_first_prompts(two_ways, tmp_path, capsys, slower, taken):
    _, seconds = two_ways
    seconds |= {slower: 9.0, taken: 2.0}
    replies = run(tmp_path / "sft.jsonl", WORTH_PROBING)
    assert {reply.text.split()[0] for reply in replies} == {taken}
    said = capsys.readouterr().out
    assert f"{slower} 144.0 s" in said
    assert f"{taken} 32.0 s" in said
    assert said.endswith(f"; taking {taken}\n")


def test_a_killed_run_goes_on_by_the_way_that_it_began_with(two_ways, tmp_path):
    found, seconds = two_ways
    seconds["generate"] = 0.5
    path = tmp_path / "sft.jsonl"
    whole = run(path, WORTH_PROBING)
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    seconds["generate"] = 50.0  # measured now, the other would be taken
    for kept in (1, 102, 150, 330):  # within the head, a chunk and a torn line, a chunk and a half
        path.write_bytes(b"".join(lines[:kept])[:-3])
        found["engine"].requests.clear()
        assert run(path, WORTH_PROBING) == whole if kept > 1 else run(path, WORTH_PROBING) != whole
        assert path.read_bytes() == content if kept > 1 else True
        assert bool(found["engine"].requests) == (kept == 1)
        path.write_bytes(content)


def test_few_replies_are_not_worth_a_measurement(two_ways, tmp_path, capsys):
    found, seconds = two_ways
    seconds["generate"] = 0.1
    run(tmp_path / "sft.jsonl", WORTH_PROBING - 1)
    assert not found["generate"].requests
    assert capsys.readouterr().out == ""
    assert b"generator" not in (tmp_path / "sft.jsonl").read_bytes()
