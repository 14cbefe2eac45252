"""Which layers go, and what is left of a model without them."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from training.base.pruned_layers import remove_layers, skipped, useless_layers


def test_the_layer_that_is_missed_least_goes_first_and_the_loss_is_measured_again():
    worth = {0: 5.0, 1: 0.2, 2: 0.1, 3: 3.0}

    def loss(gone):  # without 2, layer 1 does its work too
        return sum(worth[layer] for layer in gone) + (2.5 if {1, 2} <= set(gone) else 0)

    worth[3] = 1.0
    assert list(useless_layers(loss, 4, 2)) == [(2, 0.1), (3, 1.1)]
    assert list(useless_layers(loss, 4, 0)) == []


@pytest.fixture
def model():
    sizes = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2,
             "num_key_value_heads": 1, "num_hidden_layers": 4, "sliding_window": 8, "use_sliding_window": True,
             "max_window_layers": 2}  # fmt: skip
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model("qwen2", **sizes, initializer_range=0.3)).eval()


def test_a_model_without_layers_computes_as_if_they_were_skipped(model, tmp_path):
    tokens = torch.arange(20)[None]
    with torch.inference_mode():
        whole = model(tokens).logits
        with skipped(model, [1, 2]):
            expected = model(tokens, use_cache=False).logits
        assert torch.equal(model(tokens).logits, whole)
        assert not torch.allclose(expected, whole, atol=1e-3)
        kinds = list(model.config.layer_types)
        assert len(set(kinds)) == 2
        remove_layers(model, [1, 2])
        assert model.config.layer_types == [kinds[0], kinds[3]]
        torch.testing.assert_close(model(tokens, use_cache=False).logits, expected)
        model.save_pretrained(tmp_path)
        read = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
        torch.testing.assert_close(read(tokens, use_cache=False).logits, expected)
        said = read.generate(tokens, max_new_tokens=6, do_sample=False, eos_token_id=None)  # by the KV cache
        again = read.generate(tokens, max_new_tokens=6, do_sample=False, eos_token_id=None, use_cache=False)
        assert torch.equal(said, again)
