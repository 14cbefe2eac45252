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
from eval import evaluation
from training.base import publish
from training.data import prepare
from training.feedback import preferences
from training.finetune import dpo, reward, rl, sft
from training.recipe import Recipe
from training.stage import base_input, command


def study(recipe: Recipe) -> evaluation.Study:
    """Base, SFT and DPO on held-out prompts, as the recipe's `eval` section says."""
    names = recipe.names
    kinds = ("sft", "dpo", "rl") if recipe.rl.in_chain else ("sft", "dpo")
    adapters = {kind: names.adapter(kind) for kind in kinds}
    base = base_input(recipe).repo
    return evaluation.Study(
        names,
        base,
        names.dialogue,
        adapters,
        sampling=Sampling(),
        four_bit=recipe.model.four_bit,
        **vars(recipe.eval),
    )


def evaluate(recipe: Recipe, work: Path) -> str:
    """Measures the three variants and publishes the evaluation set."""
    return evaluation.run_evaluation(study(recipe), work, recipe.hub.private)


def preview_evaluation(recipe: Recipe, work: Path) -> None:
    study(recipe).task().preview()


STAGES: dict[str, tuple[Callable[[Recipe, Path], str], Callable[[Recipe, Path], None]]] = {
    "prepare": (prepare.run, prepare.preview),
    "base": (publish.run, publish.preview),
    "sft": (sft.run, sft.preview),
    "preferences": (preferences.run, preferences.preview),
    "dpo": (dpo.run, dpo.preview),
    "evaluation": (evaluate, preview_evaluation),
}
"""Each stage, and what shows what it would do."""
ONLINE = {"reward": (reward.run, reward.preview), "rl": (rl.run, rl.preview)}
"""The other way than DPO, where the recipe's rl.in_chain asks for it: many times its time."""


def stages(recipe: Recipe) -> dict[str, tuple[Callable[[Recipe, Path], str], Callable[[Recipe, Path], None]]]:
    if not recipe.rl.in_chain:
        return STAGES
    last = STAGES["evaluation"]
    return {**{name: pair for name, pair in STAGES.items() if pair is not last}, **ONLINE, "evaluation": last}


def run(recipe: Recipe, work: Path) -> str:
    """Runs every stage that is not up to date, prints the time of each, and returns the evaluation's commit sha."""
    times, revision, chain = {}, "", stages(recipe)
    for number, (name, (stage, _)) in enumerate(chain.items(), 1):
        print(f"\n== {number}/{len(chain)} {name}", flush=True)
        started = time.monotonic()
        revision = stage(recipe, work)
        times[name] = time.monotonic() - started
    print("\n" + "  ".join(f"{name} {seconds:.1f} s" for name, seconds in times.items()))
    print(f"the whole chain: {sum(times.values()) / 60:.1f} min", flush=True)
    return revision


def preview(recipe: Recipe, work: Path) -> None:
    """What each stage would do now; one whose inputs are not there yet waits for them."""
    from huggingface_hub.errors import RepositoryNotFoundError

    for name, (_, stage_preview) in stages(recipe).items():
        try:
            stage_preview(recipe, work)
        except RepositoryNotFoundError as error:
            print(f"[{name}] waits for what is not published yet: {error.response.request.url.path}", flush=True)


if __name__ == "__main__":
    command(run, __doc__, preview)
