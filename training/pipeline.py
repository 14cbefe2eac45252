"""The whole chain: `python -m training.pipeline --recipe training/recipes/starter.yaml`.

Each stage finds its inputs on the Hub and leaves its output there; a stage whose inputs and settings are those of the
published artifact is up to date and is not run again. Killed anywhere, it carries on when started again. Without a
token, run it against the embedded Hub: `python -m hub.local run -- python -m training.pipeline ...`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from eval.judge.names import full_name
from hub.errors import UserError
from training.base import publish
from training.costs import Ledger
from training.data import prepare
from training.feedback import preferences
from training.finetune import dpo, realism, reward, rl, sft
from training.recipe import Recipe
from training.stage import CustomStage, Stage, base_input, command

if TYPE_CHECKING:
    from eval.evaluation import Study


def study(recipe: Recipe) -> Study:
    """Evaluation of base, SFT and DPO on held-out prompts, as the recipe's `eval` section says."""
    from chat.sampling import Sampling
    from eval.evaluation import Study

    names = recipe.names
    kinds = ("sft", "dpo", "rl") if recipe.rl.in_chain else ("sft", "dpo")
    adapters = {kind: names.adapter(kind) for kind in kinds}
    base = base_input(recipe).repo
    return Study(
        names,
        base,
        names.dialogue,
        adapters,
        sampling=Sampling(),
        four_bit=recipe.model.four_bit,
        **vars(recipe.eval) | {"judge": full_name(recipe.eval.judge, names)},
    )


def evaluate_variants(recipe: Recipe, work: Path) -> str:
    """Measures the three variants and publishes the evaluation set, with what every stage has cost."""
    from eval import evaluation

    ledger, started = Ledger(work, recipe.model.size), time.monotonic()
    return evaluation.run_evaluation(
        study(recipe), work, recipe.hub.private, costs=lambda: ledger.with_spent("evaluation", started)
    )


def preview_evaluation(recipe: Recipe, work: Path) -> None:
    """Prints what the evaluation would make, from what and why."""
    study(recipe).task().preview(recipe.hub.private)


TO_SFT: dict[str, Stage | CustomStage] = {"prepare": prepare.STAGE, "base": publish.STAGE, "sft": sft.STAGE}
"""The stages of the chain up to the SFT adapter, each a module of `training` of the same name;"""
TO_DPO: dict[str, Stage | CustomStage] = {"preferences": preferences.STAGE, "dpo": dpo.STAGE}
"""and from there to the DPO adapter."""
REALISM: dict[str, Stage | CustomStage] = {"realism": realism.STAGE}
"""The namespace's own judge, where the recipe has it label or evaluate."""
ONLINE: dict[str, Stage | CustomStage] = {"reward": reward.STAGE, "rl": rl.STAGE}
"""The other way than DPO, where the recipe's rl.in_chain asks for it: many times its time."""


def stages(recipe: Recipe) -> dict[str, Stage | CustomStage]:
    """Stages of a recipe's chain by name, in the order in which they run.

    Raises:
        UserError: it asks for the namespace's own realism judge, and has a reader that makes another.
    """
    judges = REALISM if recipe.own_realism else {}
    if judges and recipe.realism.reader:
        raise UserError(
            "the namespace's own realism judge reads by the fine-tuned model; fit one with realism.reader by "
            "`python -m training.realism` alone, and name it: realism:HUB_ID"
        )
    online = ONLINE if recipe.rl.in_chain else {}
    evaluation: dict[str, Stage | CustomStage] = {"evaluation": CustomStage(evaluate_variants, preview_evaluation)}
    return {**TO_SFT, **judges, **TO_DPO, **online, **evaluation}


def run_chain(recipe: Recipe, work: Path) -> str:
    """Runs every stage that is not up to date, prints the time of each, and returns the evaluation's commit sha."""
    times, revision, chain = {}, "", stages(recipe)
    ledger = Ledger(work, recipe.model.size)
    for number, (name, stage) in enumerate(chain.items(), 1):
        print(f"\n== {number}/{len(chain)} {name}", flush=True)
        started = time.monotonic()
        with ledger.timing(name):
            revision = stage.run(recipe, work)
        times[name] = time.monotonic() - started
    print("\n" + "  ".join(f"{name} {seconds:.1f} s" for name, seconds in times.items()))
    for name, cost in ledger.read().items():
        if "estimated" in cost:
            print(f"{name}: estimated {cost['estimated']:.1f} min, spent {cost.get('spent', 0):.1f}")
    print(f"the whole chain: {sum(times.values()) / 60:.1f} min", flush=True)
    return revision


def preview_chain(recipe: Recipe, work: Path) -> None:
    """Dry run: prints what each stage would do now; one whose inputs are not there yet waits for them."""
    from huggingface_hub.errors import RepositoryNotFoundError

    for name, stage in stages(recipe).items():
        try:
            stage.preview(recipe, work)
        except RepositoryNotFoundError as error:
            print(f"[{name}] waits for what is not published yet: {error.response.request.url.path}", flush=True)


if __name__ == "__main__":
    from training.estimate.table import print_estimate

    command(run_chain, __doc__, preview_chain, estimate=print_estimate)
