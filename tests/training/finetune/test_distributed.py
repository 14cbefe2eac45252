"""The launch files for several GPUs are what accelerate reads; running them needs GPUs."""

from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file


@pytest.mark.parametrize(("name", "kind"), [("ddp", "MULTI_GPU"), ("fsdp-qlora", "FSDP")])
def test_accelerate_reads_the_launch_files(name, kind):
    config = load_config_from_file(str(Path("training/accelerate") / f"{name}.yaml"))
    assert config.distributed_type == kind
    assert config.mixed_precision == "bf16"
    if kind == "FSDP":
        assert config.fsdp_config["fsdp_transformer_layer_cls_to_wrap"] == "Qwen2DecoderLayer"
