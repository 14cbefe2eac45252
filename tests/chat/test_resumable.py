"""Resumable bulk generation: the file's format stays, and any generator may fill it."""

import json

from chat.generate import FinishReason, Reply
from chat.resumable import generate_resumable
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
