"""Direct preference optimization: `python -m training.dpo --recipe training/recipes/starter.yaml dpo.beta=0.3`.

TRL's DPOTrainer continues the SFT adapter on the preference set; the reference is the SFT adapter, frozen, whose
log-probabilities are kept for runs with other settings. The result stands alone on the base. Carries on from its last
checkpoint when started again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub.errors import UserError
from hub.lineage import Input, Lineage, pin
from training.finetune.callbacks import (
    finite_guard,
    first_loss_guard,
    last_loss,
    logged_rewards,
    plot_losses,
)
from training.finetune.common import (
    adapter_card,
    chat_facts,
    dialogue_context_turns,
    first_process_only,
    model_settings,
    train_to_end,
    trainer_arguments,
)
from training.finetune.preference_pairs import (
    kept_pairs,
    pair_sizes,
    render_preference,
    same_base,
    split,
    text_tokenizer,
)
from training.finetune.reference import keep_reference
from training.finetune.run_plan import announce_plan
from training.finetune.trl_compat import complete_reference
from training.recipe import Recipe
from training.stage import Stage, Task, base_input, command, log_progress

if TYPE_CHECKING:
    from peft import PeftModel


def dpo_task(recipe: Recipe) -> Task:
    """The DPO adapter, from the base, the SFT adapter and the preference set as they are now."""
    names = recipe.names
    settings = {"model": model_settings(recipe), "dpo": {**vars(recipe.dpo)}}
    inputs = (base_input(recipe), pin(names.adapter("sft"), "model"), pin(names.preferences, "dataset"))
    return Task(names.adapter("dpo"), "model", Lineage("dpo", settings, inputs))


def train_dpo(
    recipe: Recipe, base: Input, sft: Input, preferences: Input, folder: Path, callbacks: Sequence[Any] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Trains and saves the adapter; returns the files to publish and what the card tells of the run."""
    from datasets import Dataset
    from trl import DPOConfig

    from chat.template import load_tokenizer
    from training.finetune.loading import last_checkpoint, save_adapter

    same_base(base, preferences)
    same_base(base, sft)
    arguments = DPOConfig(**trainer_arguments(recipe.dpo.trl, folder))
    tokenizer = load_tokenizer(base.repo, base.revision)
    rows, counts = kept_pairs(tokenizer, preferences, recipe, arguments.max_length)
    train_rows, held_out = split(rows, recipe.dpo.validation_pairs, arguments.seed)
    for name, value in counts.items():
        log_progress("dpo", f"{name}: {value}")
    announce_plan("dpo", base, recipe.model, arguments, **pair_sizes(tokenizer, train_rows, arguments), adapters=2)
    log_progress("dpo", f"beta {arguments.beta}, loss {'+'.join(arguments.loss_type)}")
    model = load_sft(recipe, base, sft, bool(arguments.bf16))
    sides = [
        Dataset.from_list([render_preference(tokenizer, row) for row in part]) if part else None
        for part in (train_rows, held_out)
    ]
    trainer = build_dpo_trainer(model, tokenizer, arguments, *sides)
    how = [base.content, sft.content, recipe.model.four_bit, arguments.bf16, arguments.max_length]
    keep_reference(trainer, folder.parent / "reference", how)
    if last_checkpoint(folder / "checkpoints") is None:
        trainer.add_callback(first_loss_guard(arguments))
    for callback in callbacks:
        trainer.add_callback(callback)
    run = train_to_end(trainer, folder)
    measured = trainer.evaluate() if held_out else {}
    facts = {
        **counts,
        "steps": run.steps,
        "beta": arguments.beta,
        "loss type": "+".join(arguments.loss_type),
        **({"ld_alpha": arguments.ld_alpha} if arguments.ld_alpha is not None else {}),
        "mean train loss": run.mean_loss,
        "final train loss": last_loss(trainer),
        **logged_rewards(trainer),
        **{f"held-out {name}": round(measured[f"eval_{key}"], 4) for name, key in HELD_OUT_METRICS.items() if measured},
        "minutes": run.minutes,
        "context_turns": dialogue_context_turns(pin(recipe.names.dialogue, "dataset")),
        **chat_facts(tokenizer),
    }
    first_process_only(trainer)
    model.delete_adapter("ref")
    files = dict(save_adapter(model, tokenizer, folder / "adapter"))
    return {**files, "losses.png": plot_losses(trainer, folder / "losses.png")}, facts


HELD_OUT_METRICS = {"loss": "loss", "reward accuracy": "rewards/accuracies", "reward margin": "rewards/margins"}


def load_sft(recipe: Recipe, base: Input, sft: Input, bf16: bool = False) -> PeftModel:
    """The SFT adapter on its base, to be trained on. Raises UserError where the recipe describes another adapter."""
    from peft import PeftConfig, PeftModel

    from training.finetune.loading import load_base
    from training.finetune.trl_compat import patch_for_trl

    saved: Any = PeftConfig.from_pretrained(sft.repo, revision=sft.revision)
    lora = recipe.model.lora
    if (saved.r, saved.lora_alpha) != (lora.r, lora.alpha):
        raise UserError(
            f"{sft.repo} has LoRA rank {saved.r}, alpha {saved.lora_alpha}, the recipe says {lora.r}, {lora.alpha}; "
            "use the recipe it was trained with, or run training.sft again"
        )
    model = load_base(base.repo, base.revision, recipe.model, bf16)
    return patch_for_trl(PeftModel.from_pretrained(model, sft.repo, revision=sft.revision, is_trainable=True))


def build_dpo_trainer(model: PeftModel, tokenizer: Any, arguments: Any, pairs: Any, held_out: Any = None) -> Any:
    """DPOTrainer whose reference is the very adapter that it starts from."""
    from trl import DPOTrainer

    trainer = DPOTrainer(
        model=model,
        args=arguments,
        train_dataset=pairs,
        eval_dataset=held_out,
        processing_class=text_tokenizer(tokenizer),
        callbacks=[finite_guard()],
    )
    complete_reference(model)
    return trainer


STAGE = Stage("DPO adapter", dpo_task, train_dpo, adapter_card)

if __name__ == "__main__":
    command(STAGE.run, __doc__, STAGE.preview)
