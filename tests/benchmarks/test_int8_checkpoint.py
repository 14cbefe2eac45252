"""The int8 checkpoint is the model's own weights, rounded; that vLLM reads it is shown by `benchmarks.serve` alone."""

import json

import torch
from safetensors.torch import load_file

from benchmarks.int8_checkpoint import write_int8_checkpoint


def test_linear_layers_are_rounded_and_all_else_stays(tiny_base, tmp_path):
    written = write_int8_checkpoint(tiny_base, tmp_path / "int8")
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_base, written))
    linear = [name for name in before if name.endswith("_proj.weight")]
    assert len(linear) == 7 * 2  # of two layers
    for name in linear:
        scales = after.pop(f"{name}_scale")
        assert after[name].dtype == torch.int8
        assert scales.shape == (len(before[name]), 1)
        assert ((after[name] * scales - before[name].float()).abs() <= scales * 0.501).all()
        assert after[name].abs().amax(1).eq(127).all()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before.keys() - set(linear))
    config, whole = (json.loads((folder / "config.json").read_text()) for folder in (written, tiny_base))
    assert config.pop("quantization_config")["config_groups"]["group_0"]["weights"]["strategy"] == "channel"
    assert config == whole
    assert (written / "tokenizer.json").exists()
