"""Two processes on one machine, over gloo: the loss curve of one process with twice the accumulation."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from training.base import publish
from training.data import prepare
from training.feedback import preferences
from training.finetune import sft
from training.recipe import load

pytestmark = pytest.mark.skipif(not os.environ.get("REPARTEE_PROOF"), reason="minutes long: in make proof")
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
]  # fmt: skip


@pytest.fixture(scope="module")
def family(hub_url, tmp_path_factory):
    recipe, work = load("training/recipes/starter.yaml", SAME), tmp_path_factory.mktemp("work")
    for stage in (prepare, publish, sft, preferences):
        stage.STAGE.run(recipe, work)


def losses(stage: str, work: Path, processes: int) -> list[float]:
    """What a training logged, by step."""
    # `accelerate launch --cpu` starts one process alone, whatever number it is given, without MPI
    launch = ["-m", "torch.distributed.run", "--nproc_per_node", str(processes)] if processes > 1 else []
    command = [sys.executable, *launch, "-m", f"training.{stage}", "--work", str(work), *SAME]
    command += [f"{stage}.gradient_accumulation_steps={2 // processes}", f"{stage}.seed=7"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]
    assert done.stdout.count(f"[{stage}] rows per step: 2 (") == processes
    assert done.stdout.count(f"published processes/repartee-starter-{stage}@") == 1  # the first process alone
    (state,) = work.glob(f"{stage}-*/checkpoints/checkpoint-4/trainer_state.json")
    history = json.loads(state.read_text())["log_history"]
    return [entry["loss"] for entry in history if "loss" in entry]


@pytest.mark.parametrize("stage", ["sft", "dpo"])
def test_two_processes_have_the_curve_of_one_with_twice_the_accumulation(family, tmp_path, stage):
    one, two = losses(stage, tmp_path / "one", 1), losses(stage, tmp_path / "two", 2)
    assert len(one) == len(two) == 4
    assert max(one) - min(one) > 0.02  # it is a curve, ten times what they may differ by
    assert two == pytest.approx(one, abs=2e-3)
