"""Multi-LoRA linear layers against PEFT's, layer by layer, one adapter in all rows."""

import pytest
import torch

from chat.engine.multi_lora import fuse_linears


@pytest.fixture(scope="module")
def attention(variants):
    return variants.model.get_base_model().model.layers[0].self_attn


def by_peft(variants, layer, x, name):
    """One of PEFT's layers, with one adapter in every row."""
    adapters = {} if name == "base" else {"adapter_names": [name] * len(x)}
    if not adapters:
        return layer.base_layer(x)
    return layer(x, **adapters)


def test_every_row_gets_its_own_adapter_s_update(variants, attention):
    layers = [attention.q_proj, attention.k_proj, attention.v_proj]
    torch.manual_seed(0)
    x = torch.randn(3, 2, layers[0].in_features)
    with torch.inference_mode():
        fused = fuse_linears(layers, variants.names[1:], "float32")
        found = fused(x, torch.tensor([2, 0, 1]))
        expected = {
            name: torch.cat([by_peft(variants, layer, x, name) for layer in layers], dim=-1) for name in variants.names
        }
        for row, name in enumerate(("dpo", "base", "sft")):
            torch.testing.assert_close(found[row], expected[name][row], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(fused(x, None), expected["base"], atol=1e-5, rtol=1e-4)
        assert (expected["sft"] - expected["dpo"]).abs().max() > 0.01
    assert fused.adapter_bytes > 0


def test_a_base_without_adapters_has_no_updates(variants, attention):
    with torch.inference_mode():
        fused = fuse_linears([attention.o_proj], (), "float32")
        x = torch.randn(2, 1, attention.o_proj.in_features)
        torch.testing.assert_close(fused(x, torch.tensor([0, 0])), attention.o_proj.base_layer(x))
    assert fused.adapter_bytes == 0


def test_an_adapter_that_is_more_than_a_and_b_is_refused(variants, attention, monkeypatch):
    monkeypatch.setitem(attention.q_proj.lora_bias, "sft", True)
    with pytest.raises(ValueError, match="the adapter sft is more than plain LoRA"):
        fuse_linears([attention.q_proj], ("sft",), "float32")
