"""Scale of a recipe's trainings: memory of each device and hours on 1, 8 and 64 of them.

A whole model on each device where one holds it (DDP), else its weights and optimizer sharded over all (FSDP, ZeRO-3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from training.estimate.assumptions import Device, assumptions
from training.estimate.speed import Speed
from training.estimate.work import Work
from training.finetune.memory_plan import GB, Shape, memory
from training.recipe import Recipe

COUNTS = (1, 8, 64)
TRAINED = ("sft", "dpo")


def training_memory(recipe: Recipe, shape: Shape, on_gpu: bool, shards: int = 1) -> dict[str, float]:
    """Bytes that SFT and DPO take on each device, by the plan that they print at their start.

    DPO's pairs are not known before: the longest is as long as `assumptions.yaml` has it.

    Args:
        recipe: of the trainings.
        shape: of its base.
        on_gpu: or on a CPU such as this machine's.
        shards: devices that share weights and optimizer.
    """
    sft, dpo = recipe.sft.trl, recipe.dpo.trl
    batches = {
        "sft": (sft, rows_of(sft) * int(sft.get("max_length") or 1024), 1),
        "dpo": (dpo, 2 * rows_of(dpo) * int(assumptions().tokens["longest"]), 2),
    }
    found = {}
    for stage, (trl, tokens, adapters) in batches.items():
        need = memory(shape, recipe.model, arguments_of(trl, on_gpu), tokens, adapters, shards, on_gpu)
        found[stage] = sum(need.values())
    return found


def rows_of(trl: Mapping[str, Any]) -> int:
    """Rows that go through the model at once on one device."""
    return int(trl.get("per_device_train_batch_size", 8))


def arguments_of(trl: Mapping[str, Any], on_gpu: bool) -> SimpleNamespace:
    """What `memory` reads of TRL's config, by a recipe's fields; a CPU without bf16 computes in float32."""
    from chat.variants import has_bf16

    return SimpleNamespace(
        bf16=bool(trl.get("bf16", True)) and (on_gpu or has_bf16()),
        optim=trl.get("optim", "adamw_torch"),
        gradient_checkpointing=bool(trl.get("activation_checkpointing")),
    )


def scale_table(
    recipe: Recipe, shape: Shape, stages: Mapping[str, Work], devices: Mapping[Device, Speed], show: Any
) -> str:
    """Table of SFT's and DPO's hours on several devices of each kind.

    Args:
        recipe: of the trainings.
        shape: of its base.
        stages: work of each stage.
        devices: and their speed on this model.
        show: hours to text.
    """
    needed = {count: max(training_memory(recipe, shape, True, count).values()) for count in COUNTS}
    shared = ", ".join(f"{needed[count] / GB:.1f} GB where {count} share it" for count in COUNTS[1:])
    lines = [
        f"SFT and DPO on several devices. Each holds {needed[1] / GB:.1f} GB with the whole model on it (DDP), "
        f"{shared} (FSDP, ZeRO-3: *sharded*).\n",
        f"| device | {' | '.join(map(str, COUNTS))} |",
        f"|---|{'---:|' * len(COUNTS)}",
    ]
    for device, speed in devices.items():
        alone = sum(replace(speed, start=0.0).hours(stages[name]) for name in TRAINED)
        cells = []
        for count in COUNTS:
            hours = show(alone / count / (assumptions().speed["scaling"] if count > 1 else 1))
            whole, fits = needed[1] <= device.memory * GB, needed[count] <= device.memory * GB
            cells.append(hours if whole else f"{hours}, *sharded*" if fits else "too small")
        lines.append(f"| {device.name} | {' | '.join(cells)} |")
    return "\n".join(lines)
