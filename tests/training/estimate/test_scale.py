"""Memory and hours on several devices: by hand, and what a table says of one that is too small."""

from pathlib import Path

import pytest

from training.estimate.assumptions import Device, assumptions
from training.estimate.scale import scale_table, training_memory
from training.estimate.speed import Speed
from training.estimate.table import duration
from training.estimate.work import Work
from training.finetune.memory_plan import GB, Shape
from training.recipe import load

RECIPE = Path(__file__).parents[3] / "training" / "recipes" / "qwen2.5-3b.yaml"
QWEN_3B = Shape(36, 2048, 11008, 256, 151936, True)
QWEN_72B = Shape(80, 8192, 29568, 1024, 152064, False)


@pytest.fixture(scope="module")
def recipe():
    return load(RECIPE, ["hub.namespace=me"])


def test_sharding_takes_from_each_what_the_others_hold(recipe):
    """NF4's 36.9 GB for 72B: an eighth of it on each of eight, and gathered embeddings of 5.0 GB beside."""
    one, eight = (training_memory(recipe, QWEN_72B, on_gpu=True, shards=shards)["sft"] for shards in (1, 8))
    weights = QWEN_72B.linear * 0.516 + 2 * QWEN_72B.embedding
    gathered = 2 * QWEN_72B.embedding + 2 * QWEN_72B.linear * 0.516 / 80
    adapter = QWEN_72B.lora(recipe.model.lora.r) * (2 + 2 + 2)
    assert one - eight == pytest.approx(7 / 8 * (weights + adapter) - gathered, rel=0.01)


def test_dpo_is_planned_for_its_longest_pair(recipe):
    found = training_memory(recipe, QWEN_3B, on_gpu=True)
    longer = assumptions().tokens["longest"] * 2 * recipe.dpo.trl["per_device_train_batch_size"]
    assert longer > recipe.sft.trl["max_length"] * recipe.sft.trl["per_device_train_batch_size"] / 2
    assert min(found.values()) > 2 * GB
    assert max(found.values()) < 8 * GB  # the paper's RTX 3060 Ti


def test_the_table_shards_what_one_device_does_not_hold(recipe):
    """72 hours on one; on eight and 64 that and a tenth more, divided."""
    need = max(training_memory(recipe, QWEN_72B, on_gpu=True).values()) / GB
    devices = {
        Device("large", 1, 1, need + 1): Speed(1, 0, 0),
        Device("middle", 1, 1, need - 1): Speed(1, 0, 0),
        Device("small", 1, 1, 1): Speed(1, 0, 0),
    }
    stages = {"sft": Work(trained=60 * 3600), "dpo": Work(trained=12 * 3600), "preferences": Work(sampled=1e9)}
    lines = scale_table(recipe, QWEN_72B, stages, devices, duration).splitlines()
    assert lines[-3] == "| large | 72.0 h | 10.0 h | 1.2 h |"
    assert lines[-2] == "| middle | too small | 10.0 h, *sharded* | 1.2 h, *sharded* |"
    assert lines[-1] == "| small | too small | too small | too small |"
