"""Trainer callbacks and what is read from a trainer's log: guards, losses, rewards."""

from __future__ import annotations

import math
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from hub.errors import UserError


def logged_rewards(trainer: Any) -> dict[str, str]:
    """What DPO's own rewards did from the first logged step to the last."""
    names = {"reward of chosen": "chosen", "reward of rejected": "rejected", "reward margin": "margins"}
    names |= {"reward accuracy": "accuracies"}
    ends = {name: first_and_last(trainer, f"rewards/{key}") for name, key in names.items()}
    return {f"{name}, first to last step": f"{both[0]} to {both[1]}" for name, both in ends.items() if both}


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


def first_and_last(trainer: Any, key: str) -> tuple[float, float] | None:
    """The first and the last value of what a trainer logged by this name."""
    values = [round(entry[key], 4) for entry in trainer.state.log_history if key in entry]
    return (values[0], values[-1]) if values else None


def last_loss(trainer: Any) -> float | None:
    """The last loss that the trainer logged."""
    return next((round(entry["loss"], 4) for entry in reversed(trainer.state.log_history) if "loss" in entry), None)


def mean_loss(trainer: Any) -> float | None:
    """Mean training loss over all logged steps, also those before a run was resumed.

    An entry of the log counts as often as it has steps: it is their mean.
    """
    logged = [(0, 0.0), *((entry["step"], entry["loss"]) for entry in trainer.state.log_history if "loss" in entry)]
    steps = [step - before for (before, _), (step, _) in pairwise(logged)]
    total = sum(count * loss for count, (_, loss) in zip(steps, logged[1:], strict=True))
    return round(total / sum(steps), 4) if sum(steps) else None


def training_clock(path: Path, resumed: bool) -> Any:
    """Clock of a run that may be killed and resumed: `minutes()` is the time of all its pieces.

    Args:
        path: file that keeps the seconds until the last checkpoint.
        resumed: whether the run goes on from that checkpoint.
    """
    from transformers import TrainerCallback

    class TrainingClock(TrainerCallback):
        def __init__(self) -> None:
            self.before = float(path.read_text()) if resumed and path.exists() else 0.0
            self.started = time.monotonic()

        def seconds(self) -> float:
            return self.before + time.monotonic() - self.started

        def minutes(self) -> float:
            return round(self.seconds() / 60, 2)

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.is_world_process_zero:
                path.write_text(str(self.seconds()))

    return TrainingClock()


def plot_losses(trainer: Any, path: Path) -> Path:
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
