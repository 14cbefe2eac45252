"""Bulk generation: greedy replies are those of transformers' generate, and no reply depends on its neighbours."""

from dataclasses import replace

import pytest
import torch

from chat.engine import bulk
from chat.engine.bulk import BulkDecoder, bulk_decoder, common_prefix
from chat.generate import generate
from chat.plain_lines import PlainLines
from chat.sampling import Sampling
from tests.support.scenes import NAMES, user_prompts

LINES = [f"{'so ' * (number % 7)}where were you, number {number}?" for number in range(40)]
WHO = [NAMES[number % len(NAMES)] for number in range(40)]


def test_greedy_replies_are_those_of_generate(variants, monkeypatch):
    monkeypatch.setattr(bulk, "BULK_ROWS", 12)
    monkeypatch.setattr(bulk, "REFILL", 5)
    prompts, sampling = user_prompts(*LINES), Sampling(temperature=0, max_new_tokens=9)
    found = BulkDecoder(variants).replies(prompts, WHO, sampling, seed=3)
    wanted = generate(variants, prompts, WHO, sampling, seed=3)
    assert found == wanted
    assert len({reply.text for reply in found}) > 3


def test_a_sampled_reply_hangs_on_seed_and_place_alone(variants, monkeypatch):
    prompts, sampling = user_prompts(*LINES), Sampling(temperature=1.5, top_k=0, top_p=1.0, max_new_tokens=6)
    decoder = BulkDecoder(variants)
    all_of_them = decoder.replies(prompts, WHO, sampling, seed=3)
    monkeypatch.setattr(bulk, "BULK_ROWS", 4)
    monkeypatch.setattr(bulk, "REFILL", 2)
    assert decoder.replies(prompts[:10], WHO[:10], sampling, seed=3) == all_of_them[:10]
    assert decoder.replies(prompts[:10], WHO[:10], sampling, seed=4) != all_of_them[:10]


@pytest.mark.parametrize(
    ("prompts", "wanted"),
    [
        ([[1, 2, 3, 4], [1, 2, 5], [1, 2, 3, 9]], [1, 2]),
        ([[1, 2, 3], [1, 2, 3]], [1, 2]),
        ([[1, 2], [1, 2, 3]], [1]),
        ([[1, 2], [3, 2]], []),
        ([[7]], []),
        ([[7, 8]], [7]),
    ],
)
def test_a_common_prefix_leaves_each_prompt_a_token(prompts, wanted):
    assert common_prefix(prompts) == wanted


def test_a_prompt_that_leaves_no_room_is_named(variants):
    longest = variants.model.config.max_position_embeddings
    with pytest.raises(ValueError, match=r"a prompt has \d+ tokens and the model reads \d+; shorten it"):
        BulkDecoder(variants).replies(user_prompts("so " * longest), ["base"], Sampling(), seed=1)


def test_the_models_are_left_as_they_were(variants):
    before = {name: value.clone() for name, value in variants.model.state_dict().items()}
    BulkDecoder(variants).replies(user_prompts("where?"), ["sft"], Sampling(max_new_tokens=2), seed=1)
    after = variants.model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_plain_lines_are_left_to_generate(variants):
    assert bulk_decoder(variants, ["base", "sft"])
    plain = replace(variants, formats={"base": PlainLines(variants.tokenizer)})
    assert bulk_decoder(plain, ["base", "sft"]) is None
    assert bulk_decoder(plain, ["sft"])


def test_products_of_medium_precision_are_computed_in_bf16(variants):
    was = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        decoder = BulkDecoder(variants)
        decoder.replies(user_prompts("where?"), ["sft"], Sampling(max_new_tokens=2), seed=1)
    finally:
        torch.set_float32_matmul_precision(was)
    assert decoder._decoders["sft"].body.norm.dtype == torch.bfloat16
