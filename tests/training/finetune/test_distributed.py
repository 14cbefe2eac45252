"""The launch files for several GPUs are what accelerate reads, up to the processes that it would start.

Those need GPUs: accelerate ignores FSDP and DeepSpeed on a CPU. What it hands to the processes is checked here.
"""

from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env

from training.finetune.run_plan import is_sharded

FOLDER = Path("training/accelerate")
KINDS = {"ddp": "MULTI_GPU", "fsdp-qlora": "FSDP", "deepspeed-zero3": "DEEPSPEED"}


def launch(name):
    """What `accelerate launch` makes of a file, in the moment before it starts processes."""
    command = ["--config_file", str(FOLDER / f"{name}.yaml"), "-m", "training.sft", "--recipe", "r.yaml"]
    arguments, defaults, _ = _validate_launch_command(launch_command_parser().parse_args(command))
    assert defaults.distributed_type == KINDS[name]
    assert arguments.mixed_precision == "bf16"
    arguments.deepspeed_fields_from_accelerate_config = ",".join(defaults.deepspeed_config)  # as launch_command has it
    return arguments


@pytest.fixture
def environment(monkeypatch):
    def set_all(values):
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_all


def test_each_file_is_known_here():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(KINDS)


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_accelerate_reads_the_launch_files(name, kind):
    config = load_config_from_file(str(FOLDER / f"{name}.yaml"))
    assert config.distributed_type == kind
    assert config.mixed_precision == "bf16"
    assert config.num_processes == 8


def test_fsdp_shards_each_layer_of_qwen(environment):
    """Its plugin, as a process makes it of what the launcher hands over: each layer in shards."""
    from accelerate.utils import FullyShardedDataParallelPlugin
    from transformers import Qwen2Config, Qwen2ForCausalLM
    from transformers.models.qwen2.modeling_qwen2 import Qwen2DecoderLayer

    found = prepare_multi_gpu_env(launch("fsdp-qlora"))
    assert found["ACCELERATE_USE_FSDP"] == "true"
    environment({key: value for key, value in found.items() if key.startswith(("FSDP", "ACCELERATE"))})
    assert is_sharded()
    plugin = FullyShardedDataParallelPlugin()
    assert (plugin.fsdp_version, plugin.reshard_after_forward) == (2, True)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=9,
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=2,
            num_attention_heads=1,
            num_key_value_heads=1,
        )
    )
    plugin.set_auto_wrap_policy(model)
    (layer,) = plugin.auto_wrap_policy.keywords["transformer_layer_cls"]
    assert layer is Qwen2DecoderLayer


def test_deepspeed_shards_parameters_too(environment):
    command, found = prepare_deepspeed_cmd_env(launch("deepspeed-zero3"))
    environment({key: value for key, value in found.items() if key.startswith("ACCELERATE")})
    assert is_sharded()
    assert found["ACCELERATE_DEEPSPEED_ZERO_STAGE"] == "3"
    assert found["ACCELERATE_DEEPSPEED_ZERO3_INIT"] == "true"
    assert found["ACCELERATE_DEEPSPEED_ZERO3_SAVE_16BIT_MODEL"] == "true"
    assert command is None or "training.sft" in command


def test_ddp_keeps_the_model_whole(environment):
    found = prepare_multi_gpu_env(launch("ddp"))
    environment({key: value for key, value in found.items() if key.startswith("ACCELERATE")})
    assert not is_sharded()
    assert found["ACCELERATE_MIXED_PRECISION"] == "bf16"
