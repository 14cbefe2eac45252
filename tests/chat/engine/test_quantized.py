"""Packed layers against the plain product."""

import pytest
import torch

from chat.engine.quantized import quantize_linear, resolve_precision


@pytest.mark.parametrize(("precision", "most"), [("float32", 1e-6), ("bf16", 0.01), ("int8", 0.02), ("int4", 0.12)])
@pytest.mark.parametrize("biased", [True, False])
def test_a_packed_layer_is_near_the_plain_one(precision, most, biased):
    torch.manual_seed(0)
    weight, bias, x = torch.randn(96, 64), torch.randn(96), torch.randn(5, 64)
    x[2] *= 1000  # one row's size is not the others' loss
    dtype = torch.float32 if precision in ("float32", "int8") else torch.bfloat16
    expected = torch.nn.functional.linear(x, weight, bias if biased else None)
    found = quantize_linear(weight, bias if biased else None, precision)(x.to(dtype)).float()
    assert ((found - expected).norm(dim=-1) / expected.norm(dim=-1)).max() < most


def test_a_row_of_zeros_stays_zero():
    assert torch.equal(quantize_linear(torch.randn(8, 64), None, "int8")(torch.zeros(2, 64)), torch.zeros(2, 8))


def test_the_device_decides_what_auto_is():
    assert resolve_precision("auto", torch.device("cpu")) == "int8"
    assert resolve_precision("auto", torch.device("cuda")) == "bf16"
    with pytest.raises(ValueError, match="int4 is for a CPU and the model is on cuda"):
        resolve_precision("int4", torch.device("cuda"))
    with pytest.raises(ValueError, match="multiple of 32 inputs, not 48; choose int8"):
        quantize_linear(torch.randn(8, 48), None, "int4")
