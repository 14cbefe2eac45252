"""Quantized layers against the plain product, and which precision a machine and its torch can have."""

import re

import pytest
import torch

from chat.engine.decoder import Decoder
from chat.engine.quantized import OPERATORS, quantize_linear, resolve_precision
from tests.support.scenes import NAMES


@pytest.mark.parametrize(("precision", "most"), [("float32", 1e-6), ("bf16", 0.01), ("int8", 0.02), ("int4", 0.12)])
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize(("outputs", "inputs"), [(96, 64), (75, 72)])  # the second in no kernel's blocks
def test_a_packed_layer_is_near_the_plain_one(precision, most, biased, outputs, inputs):
    torch.manual_seed(0)
    weight, bias, x = torch.randn(outputs, inputs), torch.randn(outputs), torch.randn(5, inputs)
    x[2] *= 1000  # one row's size is not the others' loss
    dtype = torch.float32 if precision in ("float32", "int8") else torch.bfloat16
    expected = torch.nn.functional.linear(x, weight, bias if biased else None)
    found = quantize_linear(weight, bias if biased else None, precision)(x.to(dtype)).float()
    assert ((found - expected).norm(dim=-1) / expected.norm(dim=-1)).max() < most


def test_a_row_of_zeros_stays_zero():
    assert torch.equal(quantize_linear(torch.randn(8, 64), None, "int8")(torch.zeros(2, 64)), torch.zeros(2, 8))


def test_the_device_decides_what_auto_is(monkeypatch):
    for has_vnni, precision in ((True, "int8"), (False, "int4")):
        monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda has_vnni=has_vnni: has_vnni)
        assert resolve_precision("auto", torch.device("cpu")) == precision
    assert resolve_precision("auto", torch.device("cuda")) == "bf16"
    with pytest.raises(ValueError, match="int4 is for a CPU and the model is on cuda"):
        resolve_precision("int4", torch.device("cuda"))


class Without:
    """A namespace of torch's operators that lacks some."""

    def __init__(self, namespace, *names):
        self.namespace, self.names = namespace, names

    def __getattr__(self, name):
        if name in self.names:
            raise AttributeError(name)
        return getattr(self.namespace, name)


@pytest.fixture
def plain_torch(monkeypatch):
    """A torch without any of the private operators that int8 and int4 take."""
    for path in (*(path for paths in OPERATORS.values() for path in paths), "ops.mkldnn._is_mkldnn_bf16_supported"):
        *folders, name = path.removesuffix(".tensor").split(".")
        if folders:
            namespace = getattr(torch.ops, folders[-1])
            monkeypatch.setattr(torch.ops, folders[-1], Without(namespace, name), raising=False)
        else:
            monkeypatch.delattr(torch, name)
    monkeypatch.delattr(torch.cpu, "_is_vnni_supported")


def test_float32_and_bf16_take_no_private_operator(plain_torch, variants, rows, capsys):
    expected = None
    for precision in ("float32", "bf16", "auto"):
        decoder = Decoder(variants, precision)
        logits = decoder(decoder.cache(4, 64), rows, [0] * 4, NAMES)
        expected = logits if expected is None else expected
        assert (logits - expected).square().mean().sqrt() < 0.02 * expected.std()
    assert decoder.precision == "float32"
    [line] = capsys.readouterr().out.splitlines()
    missing = re.escape("torch.ops.aten._convert_weight_to_int4pack_for_cpu")
    assert re.fullmatch(rf"engine: torch \S+ lacks {missing}; the precision auto is float32 instead of .*", line)
    for precision in ("int8", "int4"):
        with pytest.raises(ValueError, match=f"{precision} takes torch.* lacks; choose bf16 or float32"):
            Decoder(variants, precision)
