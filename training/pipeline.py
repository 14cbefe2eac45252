"""The whole chain: `python -m training.pipeline --recipe training/recipes/starter.yaml`.

Each stage finds its inputs on the Hub and leaves its output there; a stage whose inputs and settings are those of the
published artifact is up to date and is not run again. Killed anywhere, it carries on when started again. Without a
token, run it against the embedded Hub: `python -m hub.local run -- python -m training.pipeline ...`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from chat.sampling import Sampling
from eval import report
from training import base, dpo, preferences, prepare, sft
from training.base import base_input
from training.recipe import Recipe
from training.stage import command


def evaluate(recipe: Recipe, work: Path) -> str:
    """Measures base, SFT and DPO on held-out prompts and publishes the evaluation set."""
    names = recipe.names
    return report.run(
        names,
        base=base_input(recipe).repo,
        dataset=names.dialogue,
        adapters={kind: names.adapter(kind) for kind in ("sft", "dpo")},
        sampling=Sampling(),
        work=work,
        private=recipe.hub.private,
        **vars(recipe.eval),
    )


STAGES: dict[str, Callable[[Recipe, Path], str]] = {
    "prepare": prepare.run,
    "base": base.run,
    "sft": sft.run,
    "preferences": preferences.run,
    "dpo": dpo.run,
    "evaluation": evaluate,
}


def run(recipe: Recipe, work: Path) -> str:
    """Runs every stage that is not up to date, prints the time of each, and returns the evaluation's commit sha."""
    times, revision = {}, ""
    for number, (name, stage) in enumerate(STAGES.items(), 1):
        print(f"\n== {number}/{len(STAGES)} {name}", flush=True)
        started = time.monotonic()
        revision = stage(recipe, work)
        times[name] = time.monotonic() - started
    print("\n" + "  ".join(f"{name} {seconds:.1f} s" for name, seconds in times.items()))
    print(f"the whole chain: {sum(times.values()) / 60:.1f} min", flush=True)
    return revision


if __name__ == "__main__":
    command(run, __doc__)
