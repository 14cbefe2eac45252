"""Supervised fine-tuning: `python -m training.sft --recipe training/recipes/starter.yaml sft.learning_rate=5e-4`.

TRL's SFTTrainer on the dialogue pairs, LoRA on every linear layer, rows packed to `max_length` with each pair kept
apart, loss on the reply alone. Carries on from its last checkpoint when started again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub.lineage import Input, Lineage, pin
from training.finetune.callbacks import finite_guard, last_loss, plot_losses
from training.finetune.common import (
    adapter_card,
    chat_facts,
    dialogue_context_turns,
    first_process_only,
    model_settings,
    train_to_end,
    trainer_arguments,
)
from training.finetune.run_plan import announce_plan, steps_of
from training.finetune.trl_compat import packed_noise
from training.recipe import Recipe
from training.stage import Stage, Task, base_input, command, log_progress

if TYPE_CHECKING:
    from datasets import Dataset
    from peft import PeftModel
    from trl import SFTConfig, SFTTrainer

    from training.data.encode import Encoded


def sft_task(recipe: Recipe) -> Task:
    """The SFT adapter, from the base and the dialogue dataset as they are now."""
    settings = {"model": model_settings(recipe), "sft": {**vars(recipe.sft)}}
    inputs = (base_input(recipe), pin(recipe.names.dialogue, "dataset"))
    return Task(recipe.names.adapter("sft"), "model", Lineage("sft", settings, inputs))


def train_sft(
    recipe: Recipe, base: Input, dialogue: Input, folder: Path, callbacks: Sequence[Any] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Trains and saves the adapter; returns the files to publish and what the card tells of the run."""
    from transformers import set_seed

    from chat.template import load_tokenizer
    from training.base.check import check_base
    from training.data.encode import encode, published_pairs
    from training.data.packing import describe, examples
    from training.finetune.loading import add_lora, load_base, save_adapter

    check_base(base.repo, base.revision, recipe)
    arguments = sft_arguments(recipe.sft.trl, folder)
    assert arguments.max_length is not None
    tokenizer = load_tokenizer(base.repo, base.revision)
    pairs = published_pairs(dialogue, recipe.sft.pairs, arguments.seed)
    encoded = encode(tokenizer, pairs, arguments.max_length, replies_only=arguments.completion_only_loss is not False)
    held_out = None
    if arguments.eval_strategy != "no":
        validation = published_pairs(dialogue, recipe.sft.validation_pairs, arguments.seed, "validation")
        held_out = encode(tokenizer, validation, arguments.max_length)
    dataset = examples(encoded, arguments)
    packing = describe(encoded, len(dataset), arguments.max_length)
    log_progress("sft", ", ".join(f"{name}: {value:,}" for name, value in packing.items()))
    if recipe.sft.step_limit:
        arguments.max_steps = min(recipe.sft.step_limit, steps_of(len(dataset), arguments))
    batch = arguments.per_device_train_batch_size * arguments.max_length
    announce_plan("sft", base, recipe.model, arguments, rows=len(dataset), tokens=encoded.tokens, largest_batch=batch)
    set_seed(arguments.seed)  # LoRA starts at random: the same recipe starts the same run
    model = add_lora(
        load_base(base.repo, base.revision, recipe.model, bool(arguments.bf16)), tokenizer, recipe.model.lora
    )
    trainer = build_sft_trainer(model, tokenizer, arguments, encoded, dataset, held_out, recipe.sft.patience)
    for callback in callbacks:
        trainer.add_callback(callback)
    run = train_to_end(trainer, folder)
    facts = {
        "context_turns": dialogue_context_turns(dialogue),
        **chat_facts(tokenizer),
        **packing,
        "steps": run.steps,
        "mean train loss": run.mean_loss,
        "final train loss": last_loss(trainer),
        "minutes": run.minutes,
    }
    if held_out:
        facts["validation pairs"] = len(held_out.table)
        facts["validation loss"] = round(trainer.evaluate()["eval_loss"], 4)
    first_process_only(trainer)
    files = dict(save_adapter(model, tokenizer, folder / "adapter"))
    return {**files, "losses.png": plot_losses(trainer, folder / "losses.png")}, facts


def sft_arguments(trl: dict[str, Any], folder: Path) -> SFTConfig:
    """TRL's config from a recipe's fields."""
    from trl import SFTConfig

    return SFTConfig(
        **{"completion_only_loss": True, **trainer_arguments(trl, folder)},
        dataset_kwargs={"skip_prepare_dataset": True},  # training.packing has done it
    )


def build_sft_trainer(
    model: PeftModel,
    tokenizer: Any,
    arguments: SFTConfig,
    encoded: Encoded,
    dataset: Dataset,
    held_out: Encoded | None = None,
    patience: int | None = None,
) -> SFTTrainer:
    """SFTTrainer on what `training.packing` made, with NEFTune's noise as it would be unpacked.

    Args:
        model: base and adapter.
        tokenizer: saved with the checkpoints.
        arguments: TRL's config.
        encoded: the train pairs.
        dataset: the rows made of them.
        held_out: pairs to evaluate on, packed as the train pairs are.
        patience: evaluations without improvement after which training stops.
    """
    from transformers import EarlyStoppingCallback
    from trl import SFTTrainer

    from training.data.packing import examples

    if arguments.neftune_noise_alpha and arguments.packing:
        flattened = arguments.per_device_train_batch_size * encoded.tokens / len(dataset)
        arguments.neftune_noise_alpha *= packed_noise(flattened, encoded.tokens / len(encoded.table))
    return SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=dataset,
        eval_dataset=examples(held_out, arguments) if held_out else None,
        processing_class=tokenizer,
        callbacks=[finite_guard(), *([EarlyStoppingCallback(patience)] if patience else [])],
    )


STAGE = Stage("SFT adapter", sft_task, train_sft, adapter_card)

if __name__ == "__main__":
    command(STAGE.run, __doc__, STAGE.preview)
