"""Direct preference optimization: `python -m training.dpo --recipe training/recipes/starter.yaml dpo.beta=0.3`.

TRL's DPOTrainer continues the SFT adapter on the preference set; the reference is the SFT adapter, frozen. The result
stands alone on the base. Carries on from its last checkpoint when started again.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chat.template import encode_prompt, encode_reply
from hub.errors import UserError
from hub.lineage import Input, Lineage, published, resolve
from hub.publish import publish
from training.base import base_input
from training.plan import Shape, plan
from training.recipe import Recipe
from training.stage import Task, command, say, work_folder
from training.trainers import (
    adapter_card,
    context_turns,
    finite_guard,
    first_and_last,
    first_process_only,
    last_loss,
    losses,
    model_settings,
    trainer_arguments,
)

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
    settings = {"model": model_settings(recipe), "dpo": {**vars(recipe.dpo)}}
    inputs = (base_input(recipe), resolve(names.adapter("sft"), "model"), resolve(names.preferences, "dataset"))
    return Task(names.adapter("dpo"), "model", Lineage("dpo", settings, inputs))


def preview(recipe: Recipe, work: Path) -> None:
    task(recipe).preview()


def train(
    recipe: Recipe, base: Input, sft: Input, preferences: Input, folder: Path, callbacks: Sequence[Any] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Trains and saves the adapter; returns the files to publish and what the card tells of the run."""
    from datasets import Dataset
    from transformers import AutoConfig
    from trl import DPOConfig

    from training.models import last_checkpoint, load_tokenizer, save_adapter

    same_base(base, preferences)
    same_base(base, sft)
    arguments = DPOConfig(**trainer_arguments(recipe.dpo.trl, folder))
    tokenizer = load_tokenizer(base.repo, base.revision)
    rows, counts = kept_pairs(tokenizer, preferences, recipe, arguments.max_length)
    train_rows, held_out = split(rows, recipe.dpo.validation_pairs, arguments.seed)
    lengths = [longest(tokenizer, row) for row in train_rows]
    numbers = plan(
        Shape.of(AutoConfig.from_pretrained(base.repo, revision=base.revision)),
        recipe.model,
        arguments,
        rows=len(train_rows),
        tokens=2 * sum(lengths),
        largest_batch=2 * arguments.per_device_train_batch_size * max(lengths),
        adapters=2,
    )
    for name, value in {**counts, **numbers}.items():
        say("dpo", f"{name}: {value}")
    say("dpo", f"beta {arguments.beta}, loss {'+'.join(arguments.loss_type)}")
    model = load_sft(recipe, base, sft)
    sides = [
        Dataset.from_list([as_text(tokenizer, row) for row in part]) if part else None
        for part in (train_rows, held_out)
    ]
    trainer = trainer_of(model, tokenizer, arguments, *sides)
    checkpoint = last_checkpoint(folder / "checkpoints")
    if checkpoint is None:
        trainer.add_callback(first_loss_guard(arguments))
    for callback in callbacks:
        trainer.add_callback(callback)
    started = time.monotonic()
    result = trainer.train(resume_from_checkpoint=checkpoint)
    minutes = (time.monotonic() - started) / 60
    measured = trainer.evaluate() if held_out else {}
    facts = {
        **counts,
        "steps": result.global_step,
        "beta": arguments.beta,
        "loss type": "+".join(arguments.loss_type),
        **({"ld_alpha": arguments.ld_alpha} if arguments.ld_alpha is not None else {}),
        "mean train loss": round(result.training_loss, 4),
        "final train loss": last_loss(trainer),
        **logged_rewards(trainer),
        **{f"held-out {name}": round(measured[f"eval_{key}"], 4) for name, key in HELD_OUT.items() if measured},
        "minutes": round(minutes, 2),
    }
    first_process_only(trainer)
    model.delete_adapter("ref")
    files = dict(save_adapter(model, tokenizer, folder / "adapter"))
    return {**files, "losses.png": losses(trainer, folder / "losses.png")}, facts


HELD_OUT = {"loss": "loss", "reward accuracy": "rewards/accuracies", "reward margin": "rewards/margins"}


def load_sft(recipe: Recipe, base: Input, sft: Input) -> PeftModel:
    """The SFT adapter on its base, to be trained on. Raises UserError where the recipe describes another adapter."""
    from peft import PeftConfig, PeftModel

    from training.models import load_base, ready_for_trl

    saved: Any = PeftConfig.from_pretrained(sft.repo, revision=sft.revision)
    lora = recipe.model.lora
    if (saved.r, saved.lora_alpha) != (lora.r, lora.alpha):
        raise UserError(
            f"{sft.repo} has LoRA rank {saved.r}, alpha {saved.lora_alpha}, the recipe says {lora.r}, {lora.alpha}; "
            "use the recipe it was trained with, or run training.sft again"
        )
    model = load_base(base.repo, base.revision, recipe.model)
    return ready_for_trl(PeftModel.from_pretrained(model, sft.repo, revision=sft.revision, is_trainable=True))


def trainer_of(model: PeftModel, tokenizer: Any, arguments: Any, pairs: Any, held_out: Any = None) -> Any:
    """DPOTrainer whose reference is the very adapter that it starts from."""
    from trl import DPOTrainer

    trainer = DPOTrainer(
        model=model,
        args=arguments,
        train_dataset=pairs,
        eval_dataset=held_out,
        processing_class=tokenizer,
        callbacks=[finite_guard()],
    )
    complete_reference(model)
    return trainer


def same_base(base: Input, source: Input) -> None:
    """Raises UserError where an input was made with another base model, as its lineage says."""
    found = published(source.repo, source.type, source.revision)
    bases = [made for made in found[1].inputs if made.type == "model"] if found else []
    if bases and base.content not in {made.content for made in bases}:
        raise UserError(
            f"{source.repo} was made with {bases[0].repo}@{bases[0].revision[:12]}, not with {base.repo}@"
            f"{base.revision[:12]}; make it again with this recipe, or name that base in model.base and model.revision"
        )


def kept_pairs(
    tokenizer: Any, preferences: Input, recipe: Recipe, max_length: int | None
) -> tuple[list[Any], dict[str, Any]]:
    """The preference rows that teach something, and how many were left out and why."""
    from datasets import load_dataset

    rows = load_dataset(preferences.repo, "preferences", split="train", revision=preferences.revision)
    fits = [row for row in rows if longest(tokenizer, row) <= (max_length or math.inf)]
    kept = [row for row in fits if similarity(row) <= recipe.dpo.max_similarity and similarity(row) < 1]
    if not kept:
        raise UserError(
            f"none of {len(rows)} preference pairs is left: {len(rows) - len(fits)} are longer than max_length="
            f"{max_length} tokens, the rest too alike; raise dpo.max_length or dpo.max_similarity"
        )
    sides = {
        side: [len(encode_reply(tokenizer, row[side][0]["content"])) for row in kept] for side in ("chosen", "rejected")
    }
    counts = {
        "pairs": len(kept),
        "pairs over max_length, dropped": len(rows) - len(fits),
        "near-identical pairs, dropped": len(fits) - len(kept),
        **{f"tokens of {side} replies, mean": round(sum(found) / len(found), 1) for side, found in sides.items()},
    }
    return kept, counts


def similarity(row: dict[str, Any]) -> float:
    """How alike the two replies are, from 0 to 1: difflib's ratio of their characters, case and spaces aside."""
    chosen, rejected = (" ".join(row[side][0]["content"].lower().split()) for side in ("chosen", "rejected"))
    return SequenceMatcher(None, chosen, rejected, autojunk=False).ratio()


def split(rows: list[Any], held_out: int | None, seed: int) -> tuple[list[Any], list[Any]]:
    """Train rows and held-out rows, drawn by seed. Raises UserError where nothing would be left to train on."""
    if not held_out:
        return rows, []
    if held_out >= len(rows):
        raise UserError(f"dpo.validation_pairs is {held_out} of {len(rows)} pairs; hold out fewer")
    shuffled = random.Random(seed).sample(rows, len(rows))
    return shuffled[held_out:], shuffled[:held_out]


def logged_rewards(trainer: Any) -> dict[str, str]:
    """What DPO's own rewards did from the first logged step to the last."""
    names = {"reward of chosen": "chosen", "reward of rejected": "rejected", "reward margin": "margins"}
    names |= {"reward accuracy": "accuracies"}
    ends = {name: first_and_last(trainer, f"rewards/{key}") for name, key in names.items()}
    return {f"{name}, first to last step": f"{both[0]} to {both[1]}" for name, both in ends.items() if both}


def as_text(tokenizer: Any, row: dict[str, Any]) -> dict[str, str]:
    """Renders a preference as text: TRL then ends both replies with `<|im_end|>` alone, as SFT did."""
    prompt = tokenizer.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True)
    return {"prompt": prompt, "chosen": row["chosen"][0]["content"], "rejected": row["rejected"][0]["content"]}


def longest(tokenizer: Any, row: dict[str, Any]) -> int:
    """Tokens of the prompt with the longer of its two replies: beyond `max_length` TRL would cut the reply."""
    replies = (row[side][0]["content"] for side in ("chosen", "rejected"))
    return len(encode_prompt(tokenizer, row["prompt"])) + max(len(encode_reply(tokenizer, reply)) for reply in replies)


def complete_reference(model: PeftModel) -> None:
    """Makes the `ref` adapter what the trained one is, to the bit: TRL 1.16's own copy differs in two ways.

    It leaves out trained tokens, for it looks for `.default.` inside a name and theirs end in `.default`; and of a
    4-bit model it rounds the trained adapter to bf16 after copying it: step 1 would begin up to 1e-3 off ln 2.
    """
    parameters = dict(model.named_parameters())
    for name, parameter in parameters.items():
        reference = parameters.get(f"{name}.".replace(".default.", ".ref.").removesuffix("."))
        if reference is not None and reference is not parameter:
            reference.data = parameter.data.clone()


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
