"""Two processes on one machine, over gloo: the loss curve of one process with twice the accumulation."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from hub.lineage import Lineage
from hub.parquet import write_tables
from hub.publish import publish as publish_to_hub
from training.base import publish
from training.data import prepare
from training.feedback import preferences
from training.finetune import sft
from training.recipe import load
from training.stage import base_input

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SAME = [
    "hub.namespace=processes", "model.lora.dropout=0", "model.lora.r=4", "model.lora.alpha=8",
    "sft.neftune_noise_alpha=null", "sft.bf16=false", "sft.pairs=80",
    "sft.step_limit=4", "sft.logging_steps=1", "sft.save_steps=4",
    "sft.eval_strategy=no",
    "sft.load_best_model_at_end=false", "sft.per_device_train_batch_size=1", "preferences.prompts=24",
    "preferences.min_margin=0", "dpo.bf16=false", "dpo.max_similarity=1",
    "dpo.max_steps=4", "dpo.learning_rate=5.0e-3", "dpo.warmup_steps=0",
    "dpo.logging_steps=1", "dpo.save_steps=4",
    "dpo.per_device_train_batch_size=1", "dpo.eval_strategy=no",
    "reward.bf16=false", "reward.max_steps=4", "reward.learning_rate=1.0e-2", "reward.lr_scheduler_type=constant",
    "reward.logging_steps=1", "reward.save_steps=4", "reward.per_device_train_batch_size=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def family(hub_url, tmp_path_factory):
    recipe, work = load("training/recipes/starter.yaml", SAME), tmp_path_factory.mktemp("work")
    for stage in (prepare, publish, sft, preferences):
        stage.STAGE.run(recipe, work)


@pytest.fixture(scope="module")
def labelled(hub_url, tiny_base, tmp_path_factory):
    """Overrides of a small base that is published, with a preference set of a few lines of our own."""
    import pyarrow as pa
    import yaml

    overrides, work = ["hub.namespace=labelled", f"model.base={tiny_base}"], tmp_path_factory.mktemp("labelled")
    recipe = load("training/recipes/starter.yaml", [*SAME, *overrides])
    publish.STAGE.run(recipe, work)
    rows = [
        {
            "prompt": [{"role": "user", "content": f"Where were you at {hour}?"}],
            "chosen": [{"role": "assistant", "content": f"At the house, with {hour} of them."}],
            "rejected": [{"role": "assistant", "content": "I am a language model and was nowhere. " * (1 + hour % 3)}],
        }
        for hour in range(12)
    ]
    files, metadata = write_tables({"preferences": {"train": pa.Table.from_pylist(rows)}}, work)
    files["README.md"] = f"---\n{yaml.safe_dump(metadata)}---\n".encode()
    lineage = Lineage("preferences", {}, (base_input(recipe),))
    publish_to_hub(recipe.names.preferences, "dataset", files, lineage, "pairs")
    return overrides


def losses(stage: str, work: Path, processes: int, overrides: Sequence[str] = ()) -> list[float]:
    """What a training logged, by step."""
    # `accelerate launch --cpu` starts one process alone, whatever number it is given, without MPI
    launch = ["-m", "torch.distributed.run", "--nproc_per_node", str(processes)] if processes > 1 else []
    command = [sys.executable, *launch, "-m", f"training.{stage}", "--work", str(work), *SAME, *overrides]
    command += [f"{stage}.gradient_accumulation_steps={2 // processes}", f"{stage}.seed=7"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]
    assert done.stdout.count(f"[{stage}] rows per step: 2 (") == processes
    assert done.stdout.count(f"/repartee-starter-{stage}@") == 1  # the first process alone
    (state,) = work.glob(f"{stage}-*/checkpoints/checkpoint-4/trainer_state.json")
    history = json.loads(state.read_text())["log_history"]
    return [entry["loss"] for entry in history if "loss" in entry]


@pytest.mark.parametrize("stage", ["sft", "dpo"])
def test_two_processes_have_the_curve_of_one_with_twice_the_accumulation(family, tmp_path, stage):
    same_curve(losses(stage, tmp_path / "one", 1), losses(stage, tmp_path / "two", 2))


def test_two_processes_train_the_reward_model_of_one(labelled, tmp_path):
    one = losses("reward", tmp_path / "one", 1, labelled)
    same_curve(one, losses("reward", tmp_path / "two", 2, labelled))


def same_curve(one, two):
    assert len(one) == len(two) == 4
    assert max(one) - min(one) > 0.02  # it is a curve, ten times what they may differ by
    assert two == pytest.approx(one, abs=2e-3)
