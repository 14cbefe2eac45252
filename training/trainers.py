"""What SFT and DPO share: arguments for TRL, what counts as the same run, and the adapter's card."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from chat.template import SYSTEM_PROMPT
from hub.cards import model_card
from hub.errors import UserError
from hub.lineage import Input, Lineage, published
from hub.rights import handed_on, note, of_base, together
from training.recipe import Recipe


def trainer_arguments(trl: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The recipe's TRL fields, with what the chain decides for every run."""
    import torch

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
        "output_dir": str(folder / "checkpoints"),
        "push_to_hub": False,
    }


def model_settings(recipe: Recipe) -> dict[str, Any]:
    """The part of the recipe's model section that changes an adapter."""
    return {"four_bit": recipe.model.four_bit, "lora": vars(recipe.model.lora), "system_prompt": SYSTEM_PROMPT}


def context_turns(dialogue: Input) -> int:
    """How many earlier turns the prompts of the dialogue dataset carry."""
    found = published(dialogue.repo, dialogue.type)
    return found[1].facts["context_turns"] if found else 1


def finite_guard() -> Any:
    """Stops a run that has gone to NaN or infinity, before that is written over its checkpoints."""
    import torch
    from transformers import TrainerCallback

    class FiniteGuard(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
            if logs and not math.isfinite(logs.get("loss", 0.0)):
                stop(args, state, f"the loss is {logs['loss']}")

        def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            trained = (parameter for parameter in model.parameters() if parameter.requires_grad)
            if control.should_save and not all(bool(torch.isfinite(parameter).all()) for parameter in trained):
                stop(args, state, "a weight is not finite")

    def stop(args: Any, state: Any, what: str) -> None:
        raise UserError(
            f"{what} at step {state.global_step}; set a lower learning_rate or max_grad_norm. The last good checkpoint "
            f"is kept in {args.output_dir}"
        )

    return FiniteGuard()


def first_process_only(trainer: Any) -> None:
    """Ends every process of a launch over several GPUs but the first, which saves and publishes."""
    if not trainer.is_world_process_zero():
        raise SystemExit(0)


def first_and_last(trainer: Any, key: str) -> tuple[float, float] | None:
    """The first and the last value of what a trainer logged by this name."""
    values = [round(entry[key], 4) for entry in trainer.state.log_history if key in entry]
    return (values[0], values[-1]) if values else None


def last_loss(trainer: Any) -> float | None:
    """The last loss that the trainer logged."""
    return next((round(entry["loss"], 4) for entry in reversed(trainer.state.log_history) if "loss" in entry), None)


def losses(trainer: Any, path: Path) -> Path:
    """Draws what the trainer logged: the loss of each step, and of the held-out rows where it was measured."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(7, 3.2), dpi=120, layout="constrained", facecolor="white")
    FigureCanvasAgg(drawing)
    axes = drawing.subplots()
    for key, label, colour in (("loss", "training", "#3b78b5"), ("eval_loss", "held out", "#c2542d")):
        logged = [(entry["step"], entry[key]) for entry in trainer.state.log_history if key in entry]
        if logged:
            axes.plot(*zip(*logged, strict=True), label=label, color=colour, linewidth=1.5)
    axes.set(xlabel="optimizer step", ylabel="loss")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    drawing.savefig(path, metadata={"Software": None})
    return path


def adapter_card(recipe: Recipe, repo: str, kind: str, base: Input, lineage: Lineage) -> bytes:
    """The card of an adapter, with the licence of its base and the citations of all that it was trained on."""
    names, inherited = recipe.names, of_base(base)
    citations = together([inherited, *map(handed_on, lineage.inputs)]).citations
    metadata = {
        **inherited.license,
        "library_name": "transformers" if kind.endswith("-merged") else "peft",
        "base_model": base.repo,
        "base_model_relation": "merge" if kind.endswith("-merged") else "adapter",
        "datasets": [names.dialogue] + ([names.preferences] if kind in ("dpo", "reward") else []),
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
        rights_note=note(inherited),
        citations=citations,
        lineage=lineage,
    ).encode()
