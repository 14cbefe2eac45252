"""Estimate of a recipe's chain as a table: `python -m training.pipeline --recipe R --estimate`.

Reads shapes, sizes and what was published; loads no weights, sends nothing and asks no LLM.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub.errors import UserError
from hub.lineage import fetch_lineage
from training.costs import Ledger
from training.estimate.assumptions import Device, assumptions
from training.estimate.scale import scale_table, training_memory
from training.estimate.speed import Speed, measured_speed, speed_of, start_seconds
from training.estimate.work import Work, chain_work
from training.finetune.memory_plan import GB, Shape
from training.recipe import Recipe

if TYPE_CHECKING:
    from transformers import PretrainedConfig

CORNELL = {"train": 135_138, "validation": 39_662, "test": 44_899}
"""Pairs by split where the dataset is not published yet: those of the whole of Cornell (docs/results.md)."""


TIMED = ("sft", "dpo", "reward", "rl")
"""Stages whose lineage has the minutes of their training; those of a whole chain are in the evaluation's."""


def print_estimate(recipe: Recipe, work: Path) -> None:
    """Prints what the chain of a recipe would take, and keeps the minutes for hindsight (`training.costs`)."""
    text, minutes = estimate(recipe)
    Ledger(work, recipe.model.size).estimate(minutes)
    print(text)


def estimate(recipe: Recipe) -> tuple[str, dict[str, float]]:
    """Table of stages in markdown, with what it takes for granted, and the minutes of each on this machine.

    Raises:
        UserError: the base's config is not to be had.
    """
    import torch

    config = base_config(recipe)
    shape = Shape.of(config)
    pairs, source = dialogue_pairs(recipe)
    stages = chain_work(recipe, shape, pairs)
    checkpointing = bool(recipe.sft.trl.get("activation_checkpointing"))
    wall, busy = time.perf_counter(), time.process_time()
    here = measured_speed(config, recipe.model.lora.r, checkpointing)
    share = (time.process_time() - busy) / (time.perf_counter() - wall) / torch.get_num_threads()
    here = replace(here, start=start_seconds())
    speeds: dict[str, Speed] = {"this machine": here}
    here_memory = training_memory(recipe, shape, torch.cuda.is_available())
    needed = max(training_memory(recipe, shape, on_gpu=True).values())
    shown: list[tuple[str, Device | None]] = [("this machine", None)]
    for device in assumptions().devices:
        if device.memory * GB >= needed:
            speeds[device.name] = speed_of(device, shape, recipe.model.four_bit, checkpointing)
            shown.append((device.name, device))
    costs = published_facts(recipe.names.evaluation, "dataset").get("costs", {})
    spent = {name: costs.get(name, {}).get("spent", minutes_spent(recipe, name)) for name in stages}
    lines = [
        f"{recipe.model.base}: {shape.linear + shape.embedding:,} weights; {pairs['train']:,} train pairs ({source}); "
        f"here SFT takes about {here_memory['sft'] / GB:.1f} GB, DPO {here_memory['dpo'] / GB:.1f}.\n",
        header([name for name, _ in shown]),
    ]
    lines += [row(name, one, [speeds[device] for device, _ in shown], spent[name]) for name, one in stages.items()]
    lines.append(total(stages, speeds, shown, sum(filter(None, spent.values())) or None))
    left_out = [device.name for device in assumptions().devices if device.memory * GB < needed]
    lines.append(
        "\nThis machine's time is that of two small models of the same shape, timed now, with all that runs beside "
        f"them: they had {min(share, 1):.0%} of {torch.get_num_threads()} threads, and with nothing beside it the time "
        "would be about that share of it. Each stage's holds the start of a process, the sum one such start. The "
        f"others' is by their data sheets and the prices of {assumptions().date} (training/estimate/assumptions.yaml). "
        "The time that an LLM takes to answer is not in it. Spent: minutes of the published chain, or of the training "
        "that a published adapter tells of, wherever it ran."
    )
    if left_out:
        lines.append(f"Too small for it: {', '.join(left_out)}.")
    devices = {one: speed_of(one, shape, recipe.model.four_bit, checkpointing) for one in assumptions().devices}
    lines.append("\n" + scale_table(recipe, shape, stages, devices, duration))
    return "\n".join(lines), {name: 60 * here.hours(one) for name, one in stages.items()}


def base_config(recipe: Recipe) -> PretrainedConfig:
    """Config of the base: of the one that is published, else of the recipe's own.

    Raises:
        UserError: neither is to be had.
    """
    from transformers import AutoConfig

    tried = [recipe.names.base, recipe.model.base]
    for name in tried:
        try:
            return AutoConfig.from_pretrained(name)
        except (OSError, ValueError):
            continue
    raise UserError(
        f"no config of {' or '.join(tried)} is to be had here; publish the base first, by `python -m training.base`"
    )


def dialogue_pairs(recipe: Recipe) -> tuple[Mapping[str, int], str]:
    """Pairs by split of the published dialogue dataset, or those of Cornell, and which of the two they are."""
    found = published_facts(recipe.names.dialogue, "dataset")
    counts = found.get("counts", {})
    pairs = {split: counts.get(f"{split} pairs") for split in CORNELL}
    if all(pairs.values()):
        return pairs, f"published in {recipe.names.dialogue}"
    return CORNELL, "the whole of Cornell; python -m training.prepare counts yours"


def published_facts(repo: str, kind: str) -> dict[str, Any]:
    """Facts of a published artifact's lineage; none where there is no such artifact."""
    found = fetch_lineage(repo, kind)
    return found[1].facts if found else {}


def minutes_spent(recipe: Recipe, stage: str) -> float | None:
    """Minutes that a stage took when it was made, where its lineage says; None else."""
    if stage not in TIMED:
        return None
    minutes = published_facts(recipe.names.adapter(stage), "model").get("minutes")
    return float(minutes) if minutes is not None else None


def header(devices: list[str]) -> str:
    """Head of the table."""
    cells = ["stage", "trained", "read", "sampled", *devices, "LLM calls", "dollars", "from the Hub", "to it", "spent"]
    return f"| {' | '.join(cells)} |\n|---|{'---:|' * (len(cells) - 1)}"


def row(name: str, work: Work, speeds: list[Speed], spent: float | None) -> str:
    """A stage's row."""
    hours = [duration(speed.hours(work)) for speed in speeds]
    return cells_of(name, work, hours, spent)


def total(
    stages: Mapping[str, Work],
    speeds: Mapping[str, Speed],
    shown: list[tuple[str, Device | None]],
    spent: float | None,
) -> str:
    """The last row: sums, and what rented hours cost."""
    every = list(stages.values())
    dollars = [one.dollars for one in every]
    whole = Work(
        sum(one.trained for one in every),
        sum(one.read for one in every),
        sum(one.sampled for one in every),
        sum(one.calls for one in every),
        None if None in dollars else sum(filter(None, dollars)),
        sum(one.down for one in every),
        sum(one.up for one in every),
    )
    hours = []
    for name, device in shown:
        taken = speeds[name].hours(whole)
        rent = f" (${taken * device.dollars_per_hour:.2f})" if device and device.dollars_per_hour else ""
        hours.append(f"**{duration(taken)}**{rent}")
    return cells_of("**all**", whole, hours, spent)


def cells_of(name: str, work: Work, hours: list[str], spent: float | None) -> str:
    """Cells of one row; what is nothing is left empty."""
    price = "unknown" if work.dollars is None else f"${work.dollars:.2f}" if work.calls else ""
    cells = [
        name,
        *(token_count(tokens) for tokens in (work.trained, work.read, work.sampled)),
        *hours,
        f"{work.calls:,}" if work.calls else "",
        price,
        *(f"{size / 1e6:,.0f} MB" if size else "" for size in (work.down, work.up)),
        f"{spent:.0f} min" if spent is not None else "",
    ]
    return f"| {' | '.join(cells)} |"


def duration(hours: float) -> str:
    """Hours, minutes or seconds, by the largest of which there is one; empty for none."""
    if not hours:
        return ""
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min" if hours * 60 >= 1 else f"{hours * 3600:.0f} s"


def token_count(tokens: float) -> str:
    """Tokens in thousands or millions."""
    if not tokens:
        return ""
    return f"{tokens / 1e6:.2f} M" if tokens >= 1e6 else f"{tokens / 1e3:.0f} k"
