"""Plan of a training run, before a weight is loaded: rows, steps, tokens, bytes, minutes.

Time is meant to be right within a factor of two. A plan that cannot fit is refused, with what to change.
"""

from __future__ import annotations

import math
import os
import time
from typing import Any

from hub.errors import UserError
from hub.lineage import Input
from hub.task import log_progress
from training.finetune.memory_plan import GB, Shape, flops_per_token, memory
from training.recipe_schema import Model

UTILISATION = 0.4
"""The share of a device's matrix speed that training of this kind reaches: an assumption, printed as one."""
MORE_DEVICES = (8, 64)
"""Numbers of devices that a plan for one tells of too."""


def steps_of(rows: int, arguments: Any, processes: int = 1) -> int:
    """Optimizer steps of a run over so many rows."""
    if arguments.max_steps > 0:
        return arguments.max_steps
    batches = math.ceil(rows / (arguments.per_device_train_batch_size * processes))
    return math.ceil(math.ceil(batches / arguments.gradient_accumulation_steps) * arguments.num_train_epochs)


def device_memory() -> tuple[float, str]:
    """Bytes that training may take here, and the name of the device."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.mem_get_info()[1], torch.cuda.get_device_name()
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), f"CPU, {torch.get_num_threads()} threads"


def matrix_speed(hidden: int, intermediate: int, seconds: float = 0.2) -> float:
    """FLOP/s of a product of the model's own size, measured now, in the precision that training computes in.

    Args:
        hidden: width of the left factor.
        intermediate: width of the product.
        seconds: how long to measure.
    """
    import torch

    from chat.variants import has_bf16

    on_gpu = torch.cuda.is_available()
    native = has_bf16()
    rows, batch = (1024, 4) if native else (128, 1)  # a GPU needs many rows, and a full queue, to be at its speed
    dtype = torch.bfloat16 if native else torch.float32
    device = "cuda" if on_gpu else "cpu"
    left = torch.randn(rows, hidden, dtype=dtype, device=device)
    right = torch.randn(hidden, intermediate, dtype=dtype, device=device)

    def finish() -> None:
        if on_gpu:
            torch.cuda.synchronize()

    for _ in range(3 if native else 1):
        left @ right
    finish()
    started, rounds = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        for _ in range(batch):
            left @ right
        rounds += batch
        finish()
    return rounds * 2 * rows * hidden * intermediate / (time.perf_counter() - started)


def announce_plan(stage: str, base: Input, model: Model, arguments: Any, **sizes: int) -> None:
    """Prints the plan of a run under its stage's name.

    Args:
        stage: that runs.
        base: the model that it trains on, of which the config alone is read.
        model: the recipe's model section.
        arguments: TRL's config.
        sizes: as `plan_run` takes them.

    Raises:
        UserError: it cannot fit.
    """
    from transformers import AutoConfig

    shape = Shape.of(AutoConfig.from_pretrained(base.repo, revision=base.revision))
    for name, value in plan_run(shape, model, arguments, **sizes).items():
        log_progress(stage, f"{name}: {value}")


def plan_run(
    shape: Shape, model: Any, arguments: Any, *, rows: int, tokens: int, largest_batch: int, adapters: int = 1
) -> dict[str, str]:
    """Plan of a run for the reader of its log: derived numbers by name.

    Args:
        shape: sizes of the model.
        model: the recipe's model section.
        arguments: TRL's config.
        rows: of one epoch.
        tokens: of one epoch.
        largest_batch: tokens that go through the model at once.
        adapters: 2 where a frozen reference stands beside the trained one.

    Raises:
        UserError: it cannot fit.
    """
    from training.finetune.loading import attention_implementation

    processes = int(os.environ.get("WORLD_SIZE", "1"))
    need = memory(shape, model, arguments, largest_batch, adapters, processes if is_sharded() else 1)
    have, device = device_memory()
    if model.memory_gb:
        have, device = model.memory_gb * GB, f"{device}, memory_gb {model.memory_gb:g}"
    check_fits(need, have, model, arguments)
    steps = steps_of(rows, arguments, processes)
    rows_per_step = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps * processes
    per_step = rows_per_step * tokens / rows
    speed = matrix_speed(shape.hidden, shape.intermediate)
    passes = 1.5 if adapters == 2 else 1  # the reference: one more forward pass without gradients
    operations = steps * per_step / processes * passes * flops_per_token(shape, arguments.gradient_checkpointing)
    minutes = operations / speed / UTILISATION / 60
    more = {
        f"on {devices} such devices": f"about {sum(need.values()) / GB:.1f} GB each, "
        f"{sum(memory(shape, model, arguments, largest_batch, adapters, devices).values()) / GB:.1f} GB sharded, "
        f"and {minutes / devices:.1f} min at best"
        for devices in MORE_DEVICES
        if processes == 1
    }
    return {
        "device": device,
        "attention": attention_implementation(),
        "rows": f"{rows:,} of {tokens / rows:,.0f} tokens",
        "rows per step": f"{rows_per_step} ({per_step:,.0f} tokens)",
        "steps": f"{steps:,}",
        "memory": f"about {sum(need.values()) / GB:.1f} of {have / GB:.1f} GB ({parts(need)})",
        "time": f"about {minutes:.1f} min ({UTILISATION:.0%} of {speed / 1e12:.2f} TFLOP/s, measured now)",
        **more,
    }


def is_sharded() -> bool:
    """Whether `accelerate launch` shards the model over its processes: FSDP, or DeepSpeed by a ZeRO-3 file of ours."""
    return any(os.environ.get(f"ACCELERATE_USE_{name}", "").lower() == "true" for name in ("FSDP", "DEEPSPEED"))


def check_fits(need: dict[str, float], have: float, model: Any, arguments: Any) -> None:
    """Raises UserError where `need` is more than `have`, naming what would help most first."""
    if sum(need.values()) <= have:
        return
    cures = []
    if not arguments.gradient_checkpointing:
        cures.append("activation_checkpointing=true")
    if arguments.per_device_train_batch_size > 1:
        cures.append("a smaller per_device_train_batch_size with more gradient_accumulation_steps")
    if not model.four_bit:
        cures.append("model.four_bit=true")
    cures += ["a shorter max_length", "a smaller base"]
    raise UserError(
        f"the plan needs about {sum(need.values()) / GB:.1f} GB ({parts(need)}) and there are {have / GB:.1f}; "
        f"set {', or '.join(cures)}"
    )


def parts(need: dict[str, float]) -> str:
    """Parts of the memory by name in GB, the largest first."""
    return ", ".join(f"{name} {size / GB:.2f}" for name, size in sorted(need.items(), key=lambda item: -item[1]))
