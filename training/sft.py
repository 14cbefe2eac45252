"""Supervised fine-tuning: `python -m training.sft --recipe training/recipes/starter.yaml sft.learning_rate=5e-4`.

TRL's SFTTrainer on the dialogue pairs, LoRA on every linear layer, rows packed to `max_length` with each pair kept
apart, loss on the reply alone. Carries on from its last checkpoint when started again.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from hub.lineage import Input, Lineage, resolve
from hub.publish import publish
from training.base import base_input
from training.packing import describe, encode, examples, published_pairs
from training.recipe import Recipe
from training.stage import Task, command, say, work_folder
from training.trainers import adapter_card, context_turns, last_loss, losses, model_settings, trainer_arguments


def run(recipe: Recipe, work: Path) -> str:
    """Publishes the SFT adapter and returns its full commit sha."""
    made = task(recipe)
    if revision := made.done():
        return revision
    base, dialogue = made.lineage.inputs
    files, facts = train(recipe, base, dialogue, work_folder(work, made.lineage))
    lineage = replace(made.lineage, facts=facts)
    files["README.md"] = adapter_card(recipe, made.repo, "sft", base, lineage)
    return publish(made.repo, "model", files, lineage, "SFT adapter", private=recipe.hub.private)


def task(recipe: Recipe) -> Task:
    """The SFT adapter, from the base and the dialogue dataset as they are now."""
    settings = {"model": model_settings(recipe), "sft": {**vars(recipe.sft)}}
    inputs = (base_input(recipe), resolve(recipe.names.dialogue, "dataset"))
    return Task(recipe.names.adapter("sft"), "model", Lineage("sft", settings, inputs))


def preview(recipe: Recipe, work: Path) -> None:
    task(recipe).preview()


def train(recipe: Recipe, base: Input, dialogue: Input, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Trains and saves the adapter; returns the files to publish and what the card tells of the run."""
    from trl import SFTConfig, SFTTrainer

    from training.models import add_lora, last_checkpoint, load_base, load_tokenizer, save_adapter

    arguments = SFTConfig(
        **trainer_arguments(recipe.sft.trl, folder),
        completion_only_loss=True,
        dataset_kwargs={"skip_prepare_dataset": True},  # training.packing has done it
    )
    assert arguments.max_length is not None
    tokenizer = load_tokenizer(base.repo, base.revision)
    pairs = published_pairs(dialogue, recipe.sft.pairs, arguments.seed)
    encoded = encode(tokenizer, pairs, arguments.max_length)
    dataset = examples(encoded, arguments)
    packing = describe(encoded, len(dataset), arguments.max_length)
    say("sft", ", ".join(f"{name}: {value:,}" for name, value in packing.items()))
    model = add_lora(load_base(base.repo, base.revision, recipe.model), tokenizer, recipe.model.lora)
    if arguments.neftune_noise_alpha and arguments.packing:
        arguments.neftune_noise_alpha *= packed_noise(arguments, encoded.tokens / len(encoded.table))
    trainer = SFTTrainer(model=model, args=arguments, train_dataset=dataset, processing_class=tokenizer)
    if recipe.sft.step_limit:
        arguments.max_steps = min(recipe.sft.step_limit, steps_of(trainer))
    started = time.monotonic()
    result = trainer.train(resume_from_checkpoint=last_checkpoint(folder / "checkpoints"))
    facts = {
        "context_turns": context_turns(dialogue),
        **packing,
        "steps": result.global_step,
        "mean train loss": round(result.training_loss, 4),
        "final train loss": last_loss(trainer),
        "minutes": round((time.monotonic() - started) / 60, 2),
    }
    files = dict(save_adapter(model, tokenizer, folder / "adapter"))
    return {**files, "losses.png": losses(trainer, folder / "losses.png")}, facts


def steps_of(trainer: Any) -> int:
    """How many optimizer steps the epochs of a trainer take."""
    arguments = trainer.args
    per_epoch = math.ceil(len(trainer.get_train_dataloader()) / arguments.gradient_accumulation_steps)
    return math.ceil(per_epoch * arguments.num_train_epochs)


def packed_noise(arguments: Any, mean_length: float) -> float:
    """How much larger NEFTune's alpha must be for the noise of an unpacked example.

    The noise is alpha / sqrt(length * width) (Jain et al., 2023), but transformers takes the length of the whole
    flattened batch for it (transformers#34659): the factor is the square root of that length over the mean example's.
    """
    return math.sqrt(arguments.per_device_train_batch_size * arguments.max_length / mean_length)


if __name__ == "__main__":
    command(run, __doc__, preview)
