"""The decoder: in float32 it is PEFT's own forward pass, for any mixture of variants; no row touches another."""

import pytest
import torch

from chat.engine.decoder import Decoder
from chat.variants import ModelRef, load_variants
from tests.support.scenes import NAMES, of_peft


def test_logits_are_peft_s_after_a_prompt_and_after_every_step(decoder, alone, rows):
    replies = [[40, 1, 7, 500], [2, 300], [9], [1, 2, 3]]  # trained tokens among them
    cache = decoder.cache(len(rows), 64)
    for step in range(5):
        new = [row if step == 0 else [(reply * 4)[step - 1]] for row, reply in zip(rows, replies, strict=True)]
        past_lengths = [0 if step == 0 else len(row) + step - 1 for row in rows]
        logits = decoder(cache, new, past_lengths, NAMES)
        for row, reply, name, found in zip(rows, replies, NAMES, logits, strict=True):
            expected = of_peft(alone[name], [*row, *(reply * 4)[:step]])[-1]
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


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


def test_a_precision_that_there_is_not_is_said_in_one_line(variants):
    with pytest.raises(ValueError, match=r"no precision called 'int3'; there are auto, float32, bf16"):
        Decoder(variants, "int3")
