"""What the trainings share: arguments for TRL, a run to its end, what is the same run, and the adapter's card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from chat.template import SYSTEM_PROMPT, chat_format
from chat.variants import has_bf16
from hub.cards import model_card
from hub.lineage import Input, Lineage, fetch_lineage
from hub.rights import combine_rights, inherited_rights, license_note, rights_of_base
from hub.task import log_progress
from training.finetune.callbacks import mean_loss, training_clock
from training.recipe import Recipe


def trainer_arguments(trl: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The recipe's TRL fields, with what the chain decides for every run."""
    import torch

    emulated = {} if has_bf16() else {"bf16": False}
    if emulated and trl.get("bf16", True):
        log_progress("train", "this CPU has no bf16 instructions; computing in float32")
    return {
        "report_to": "none",
        "project": "repartee",  # with trackio: what is evaluated behind the training, or resumed, goes to the same run
        "run_name": folder.name,
        "trackio_static_space_id": False,  # no Space is made that nobody asked for
        "save_total_limit": 2,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,  # which would show the last finite loss instead; `finite_guard` reads it
        "per_device_eval_batch_size": trl.get("per_device_train_batch_size", 8),
        "use_cpu": not torch.cuda.is_available(),
        **trl,
        **emulated,
        "output_dir": str(folder / "checkpoints"),
        "push_to_hub": False,
    }


class TrainingRun(NamedTuple):
    """A run that has reached its end, in as many pieces as it took."""

    steps: int
    """Optimizer steps."""
    mean_loss: float | None
    minutes: float


def train_to_end(trainer: Any, folder: Path) -> TrainingRun:
    """Trains from the last checkpoint to the end; a run that had reached it takes no step more.

    Transformers takes one more step where the last checkpoint lies within an epoch, and knows no end by early stopping.
    """
    from training.finetune.loading import last_checkpoint

    checkpoint = last_checkpoint(folder / "checkpoints")
    if checkpoint and has_ended(Path(checkpoint)):
        log_progress("train", f"had ended: taken from {checkpoint}")
        trainer.args.max_steps, trainer.args.num_train_epochs = -1, 0
    clock = training_clock(folder / "seconds.txt", resumed=checkpoint is not None)
    trainer.add_callback(clock)
    result = trainer.train(resume_from_checkpoint=checkpoint)
    return TrainingRun(result.global_step, mean_loss(trainer), clock.minutes())


def has_ended(checkpoint: Path) -> bool:
    """Whether training had nothing left to do after a checkpoint: all steps done, or stopped early."""
    state = json.loads((checkpoint / "trainer_state.json").read_text())
    control = state.get("stateful_callbacks", {}).get("TrainerControl", {}).get("args", {})
    return state["global_step"] >= state["max_steps"] or bool(control.get("should_training_stop"))


def model_settings(recipe: Recipe) -> dict[str, Any]:
    """The part of the recipe's model section that changes an adapter."""
    return {"four_bit": recipe.model.four_bit, "lora": vars(recipe.model.lora), "system_prompt": SYSTEM_PROMPT}


def chat_facts(tokenizer: Any) -> dict[str, str]:
    """What the card says of a base's own chat format; nothing of ChatML."""
    chat = chat_format(tokenizer)
    first = {"system message": "before the first user turn"} if chat.system_in_first_turn else {}
    return {"chat format": "the base's own", "end of turn": chat.end_of_turn, **first} if chat.own else {}


def dialogue_context_turns(dialogue: Input) -> int:
    """How many earlier turns the prompts of the dialogue dataset carry."""
    found = fetch_lineage(dialogue.repo, dialogue.type)
    return found[1].facts["context_turns"] if found else 1


def first_process_only(trainer: Any) -> None:
    """Ends every process of a launch over several GPUs but the first, which saves and publishes."""
    if not trainer.is_world_process_zero():
        raise SystemExit(0)


def adapter_card(recipe: Recipe, repo: str, lineage: Lineage) -> bytes:
    """Model card of an adapter, with the licence of its base and the citations of all that it was trained on.

    Args:
        recipe: what it was made by.
        repo: where it is published; the end of its name is its kind: "sft", "dpo-merged".
        lineage: its inputs, of which the first is the base, its settings and the facts of the run.
    """
    names, base = recipe.names, lineage.inputs[0]
    kind = repo.removeprefix(names.adapter(""))
    inherited = rights_of_base(base)
    citations = combine_rights([inherited, *map(inherited_rights, lineage.inputs)]).citations
    metadata = {
        **inherited.license,
        "library_name": "transformers" if kind.endswith("-merged") else "peft",
        "base_model": base.repo,
        "base_model_relation": "merge" if kind.endswith("-merged") else "adapter",
        "datasets": list(
            dict.fromkeys([names.dialogue, *(made.repo for made in lineage.inputs if made.type == "dataset")])
        ),
        "tags": ["trl", "lora", kind],
    }
    return model_card(
        "adapter",
        metadata,
        repo=repo,
        kind=kind,
        base=base.repo,
        system_prompt=SYSTEM_PROMPT,
        facts=lineage.facts,
        settings=lineage.settings,
        rights_note=license_note(inherited),
        citations=citations,
        lineage=lineage,
    ).encode()
