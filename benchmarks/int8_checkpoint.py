"""W8A8 checkpoint of compressed-tensors, for vLLM in int8: `python -m benchmarks.int8_checkpoint FOLDER NEW`.

Linear layers get a scale for each output, rounded to nearest as `chat.engine.quantized.Int8` does it, and activations a
scale for each token, as they come. Embedding, head and norms stay as they are.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

WEIGHTS = "model.safetensors"
INT8 = {"num_bits": 8, "type": "int", "symmetric": True}
QUANTIZATION = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "quantization_status": "compressed",
    "ignore": ["lm_head"],
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {**INT8, "strategy": "channel", "dynamic": False},
            "input_activations": {**INT8, "strategy": "token", "dynamic": True},
        }
    },
}
"""What `config.json` says of it."""


def write_int8_checkpoint(folder: Path, written: Path) -> Path:
    """Writes a model folder of one safetensors file in int8, and returns where it lies.

    Args:
        folder: of a causal model whose linear layers are named `...layers.N...proj`.
        written: the new folder.
    """
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, written, dirs_exist_ok=True, ignore=shutil.ignore_patterns(WEIGHTS))
    tensors = {}
    for name, weight in load_file(folder / WEIGHTS).items():
        if ".layers." in name and name.endswith("_proj.weight"):
            scales = weight.float().abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
            tensors[name] = (weight.float() / scales).round().to(torch.int8)
            tensors[f"{name}_scale"] = scales
        else:
            tensors[name] = weight
    save_file(tensors, written / WEIGHTS, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (written / "config.json").write_text(json.dumps({**config, "quantization_config": QUANTIZATION}, indent=2), "utf-8")
    return written


if __name__ == "__main__":
    print(write_int8_checkpoint(Path(sys.argv[1]), Path(sys.argv[2])))
