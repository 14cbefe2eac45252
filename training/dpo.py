"""Direct preference optimization: `python -m training.dpo --recipe training/recipes/starter.yaml dpo.beta=0.3`.

TRL's DPOTrainer continues the SFT adapter on the preference set; the reference is the SFT adapter, frozen. The result
stands alone on the base. Carries on from its last checkpoint when started again.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chat.template import encode_prompt, encode_reply
from hub.errors import UserError
from hub.lineage import Input, Lineage, resolve
from hub.publish import publish
from training.base import base_input
from training.recipe import Recipe
from training.stage import Task, command, say, work_folder
from training.trainers import adapter_card, context_turns, last_loss, losses, model_settings, trainer_arguments

if TYPE_CHECKING:
    from peft import PeftModel


def run(recipe: Recipe, work: Path) -> str:
    """Publishes the DPO adapter and returns its full commit sha."""
    made = task(recipe)
    if revision := made.done():
        return revision
    base, sft, preferences = made.lineage.inputs
    files, facts = train(recipe, base, sft, preferences, work_folder(work, made.lineage))
    facts["context_turns"] = context_turns(resolve(recipe.names.dialogue, "dataset"))
    lineage = replace(made.lineage, facts=facts)
    files["README.md"] = adapter_card(recipe, made.repo, "dpo", base, lineage)
    return publish(made.repo, "model", files, lineage, "DPO adapter", private=recipe.hub.private)


def task(recipe: Recipe) -> Task:
    """The DPO adapter, from the base, the SFT adapter and the preference set as they are now."""
    names = recipe.names
    settings = {"model": model_settings(recipe), "dpo": recipe.dpo.trl}
    inputs = (base_input(recipe), resolve(names.adapter("sft"), "model"), resolve(names.preferences, "dataset"))
    return Task(names.adapter("dpo"), "model", Lineage("dpo", settings, inputs))


def preview(recipe: Recipe, work: Path) -> None:
    task(recipe).preview()


def train(
    recipe: Recipe, base: Input, sft: Input, preferences: Input, folder: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Trains and saves the adapter; returns the files to publish and what the card tells of the run."""
    from datasets import Dataset, load_dataset
    from peft import PeftModel
    from trl import DPOConfig, DPOTrainer

    from training.models import last_checkpoint, load_base, load_tokenizer, ready_for_trl, save_adapter

    arguments = DPOConfig(**trainer_arguments(recipe.dpo.trl, folder))
    tokenizer = load_tokenizer(base.repo, base.revision)
    rows = load_dataset(preferences.repo, "preferences", split="train", revision=preferences.revision)
    whole = [row for row in rows if longest(tokenizer, row) <= (arguments.max_length or math.inf)]
    pairs = Dataset.from_list([as_text(tokenizer, row) for row in whole])
    model = PeftModel.from_pretrained(
        load_base(base.repo, base.revision, recipe.model), sft.repo, revision=sft.revision, is_trainable=True
    )
    trainer = DPOTrainer(model=ready_for_trl(model), args=arguments, train_dataset=pairs, processing_class=tokenizer)
    complete_reference(model)
    checkpoint = last_checkpoint(folder / "checkpoints")
    if checkpoint is None:
        trainer.add_callback(first_loss_guard(arguments))
    say("dpo", f"{len(rows) - len(whole)} pairs dropped for over {arguments.max_length} tokens")
    say("dpo", f"{len(pairs):,} preference pairs, beta {arguments.beta}, loss {'+'.join(arguments.loss_type)}")
    started = time.monotonic()
    result = trainer.train(resume_from_checkpoint=checkpoint)
    model.delete_adapter("ref")
    facts = {
        "pairs": len(pairs),
        "pairs over max_length, dropped": len(rows) - len(whole),
        "steps": result.global_step,
        "beta": arguments.beta,
        "mean train loss": round(result.training_loss, 4),
        "final train loss": last_loss(trainer),
        "minutes": round((time.monotonic() - started) / 60, 2),
    }
    files = dict(save_adapter(model, tokenizer, folder / "adapter"))
    return {**files, "losses.png": losses(trainer, folder / "losses.png")}, facts


def as_text(tokenizer: Any, row: dict[str, Any]) -> dict[str, str]:
    """Renders a preference as text: TRL then ends both replies with `<|im_end|>` alone, as SFT did."""
    prompt = tokenizer.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True)
    return {"prompt": prompt, "chosen": row["chosen"][0]["content"], "rejected": row["rejected"][0]["content"]}


def longest(tokenizer: Any, row: dict[str, Any]) -> int:
    """Tokens of the prompt with the longer of its two replies: beyond `max_length` TRL would cut the reply."""
    replies = (row[side][0]["content"] for side in ("chosen", "rejected"))
    return len(encode_prompt(tokenizer, row["prompt"])) + max(len(encode_reply(tokenizer, reply)) for reply in replies)


def complete_reference(model: PeftModel) -> None:
    """Copies the trained token embeddings into the `ref` adapter, which TRL 1.16 leaves out of its own copy.

    It copies parameters with `.default.` inside their name; those of trained tokens end in `.default`.
    """
    parameters = dict(model.named_parameters())
    for name, parameter in parameters.items():
        if name.endswith(".default"):
            parameters[name.removesuffix("default") + "ref"].data.copy_(parameter.data)


def first_loss_guard(arguments: Any) -> Any:
    """Stops a run whose first logged loss is not ln 2: policy and reference are then not the same model."""
    from transformers import TrainerCallback

    class FirstLossGuard(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
            expected = math.log(2)
            if state.global_step != 1 or not logs or "loss" not in logs or list(arguments.loss_type) != ["sigmoid"]:
                return
            if abs(logs["loss"] - expected) > 0.01:
                raise UserError(
                    f"DPO's first loss is {logs['loss']:.4f}, not ln 2 = {expected:.4f}: the reference is not the "
                    "SFT adapter; was that trained with another recipe?"
                )

    return FirstLossGuard()


if __name__ == "__main__":
    command(run, __doc__, preview)
