"""The decoder: in float32 it is PEFT's own forward pass, for any mixture of variants; no row touches another."""

from random import Random

import pytest
import torch
from scenes import asked

from chat.engine.continuous_batch import ContinuousBatch, Sequence
from chat.engine.decoder import Decoder
from chat.sampling import Sampling
from chat.template import encode_prompt
from chat.variants import ModelRef, ModelVariants, load_variants

NAMES = ["dpo", "base", "sft", "sft"]
PROMPTS = asked("Where were you last night?", "No.", "I have been thinking about it for a long, long while now.", "Go!")


@pytest.fixture(scope="module")
def decoder(variants):
    return Decoder(variants, "float32")


@pytest.fixture(scope="module")
def rows(tokenizer):
    return [encode_prompt(tokenizer, prompt) for prompt in PROMPTS]


def of_peft(model, ids) -> torch.Tensor:
    """The logits after every token of one row, from a model that has but one variant."""
    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids])).logits[0]


def test_logits_are_peft_s_after_a_prompt_and_after_every_step(decoder, alone, rows):
    replies = [[40, 1, 7, 500], [2, 300], [9], [1, 2, 3]]  # trained tokens among them
    cache = decoder.cache(len(rows), 64)
    for step in range(5):
        new = [row if step == 0 else [(reply * 4)[step - 1]] for row, reply in zip(rows, replies, strict=True)]
        starts = [0 if step == 0 else len(row) + step - 1 for row in rows]
        logits = decoder(cache, new, starts, NAMES)
        for row, reply, name, found in zip(rows, replies, NAMES, logits, strict=True):
            expected = of_peft(alone[name], [*row, *(reply * 4)[:step]])[-1]
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_rows_join_and_leave_a_running_batch(decoder, alone, rows):
    """Greedy replies are PEFT's, whoever came and went meanwhile."""

    def row(place, length):
        return Sequence(rows[place], NAMES[place], Sampling(temperature=0, max_new_tokens=length), Random(0))

    def step(batch, count):
        for _ in range(count):
            batch.step()

    batch, (a, b, c, d) = (
        ContinuousBatch(decoder, set()),
        [row(place, length) for place, length in enumerate((6, 60, 12, 9))],
    )
    batch.join([a, b])
    step(batch, 3)
    batch.join([c])
    step(batch, 3)
    batch.leave([a])  # c takes its slot
    batch.join([d])
    step(batch, 9)
    batch.leave([d, c])
    step(batch, 45)  # past the end of the cache's first room
    for one in (a, b, c, d):
        ids = list(one.prompt)
        for token in one.reply[:12]:
            assert token == int(of_peft(alone[one.variant], ids)[-1].argmax())
            ids.append(token)
    assert (len(a.reply), len(b.reply)) == (6, 60)
    batch.leave([b])
    assert batch._cache is None  # nobody is there, and nothing is kept


@pytest.mark.parametrize("precision", ["int8"])
def test_in_int8_nobody_s_neighbours_matter(variants, rows, precision):
    decoder = Decoder(variants, precision)
    together = decoder(decoder.cache(4, 64), rows, [0] * 4, ["base"] * 4)
    for row, found in zip(rows, together, strict=True):
        apart = decoder(decoder.cache(1, 64), [row], [0], ["base"])[0]
        torch.testing.assert_close(found, apart, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("precision", "most"), [("bf16", 0.02), ("int8", 0.05), ("int4", 0.2), ("nf4", 0.2)])
def test_small_precisions_are_near(variants, rows, decoder, precision, most):
    exact = decoder(decoder.cache(4, 64), rows, [0] * 4, NAMES)
    small = Decoder(variants, precision)
    near = small(small.cache(4, 64), rows, [0] * 4, NAMES)
    assert (near - exact).square().mean().sqrt() < most * exact.std()
    assert small.bytes < decoder.bytes


def test_a_plain_base_has_no_adapters(starter, rows):
    decoder = Decoder(load_variants(ModelRef(str(starter))), "float32")
    assert decoder(decoder.cache(1, 64), rows[:1], [0], ["base"]).shape == (1, 8192)


def test_what_it_cannot_serve_is_said_in_one_line(variants):
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, vocab_size=64
    )
    with pytest.raises(ValueError, match="serves Qwen 2 models with plain attention, and this is llama"):
        Decoder(ModelVariants(LlamaForCausalLM(config), variants.tokenizer, ("base",)))
    with pytest.raises(ValueError, match=r"no precision called 'int3'; there are auto, float32, bf16"):
        Decoder(variants, "int3")
