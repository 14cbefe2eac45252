"""Hyperparameter search: `python -m training.sweep --recipe FILE --storage sqlite:///sweep.db sweep.trials=12`.

Optuna draws values for the fields in the recipe's `sweep.space`, trains `sweep.stage` with them, and stops trials that
fall behind. The same command on N machines shares one study where `--storage` names one database (postgresql://,
mysql://; a sqlite file serves one machine). A worker that dies is noticed by its heartbeat: its trial is marked as lost
and run again. At the end the study is drawn and the best recipe written out beside `--out`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hub.errors import UserError, one_line_errors
from hub.lineage import Input, pin
from training.finetune.dpo import train_dpo
from training.finetune.sft import train_sft
from training.recipe import Recipe, load
from training.recipe_file import read_recipe_file, set_key
from training.stage import WORK, base_input, log_progress

SCORES: dict[str, tuple[str, Any]] = {"sft": ("eval_loss", "minimize"), "dpo": ("eval_rewards/accuracies", "maximize")}
SILENCE = 6  # heartbeats after which a worker is dead


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of one worker: search, summary, best recipe and figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=Path("training/recipes/starter.yaml"))
    parser.add_argument("--storage", default="sqlite:///.repartee/sweep.db", help="default: %(default)s")
    parser.add_argument("--study", default="repartee", help="its name in the storage (default: %(default)s)")
    parser.add_argument("--heartbeat", type=int, default=5, help="seconds; a worker silent for six of them is dead")
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--out", type=Path, default=Path(".repartee/sweep"), help="where best.yaml and study.png go")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    arguments = parser.parse_intermixed_args(argv)
    with one_line_errors():
        study = search(arguments)
        for line in summarize_trials(study):
            log_progress("sweep", line)
        write_best(study, arguments.recipe, arguments.overrides, arguments.out)


def search(arguments: argparse.Namespace) -> Any:
    """Runs trials until the study has as many finished ones as the recipe asks for; returns the study."""
    import optuna
    from optuna.trial import TrialState

    recipe = load(arguments.recipe, arguments.overrides)
    if not recipe.sweep.space:
        raise UserError("sweep.space is empty; name fields to search, such as dpo.beta: [0.01, 0.5, log]")
    if arguments.storage.startswith("sqlite:///"):
        Path(arguments.storage.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    storage = shared_storage(arguments.storage, arguments.heartbeat)
    study = optuna.create_study(
        storage=storage,
        study_name=arguments.study,
        direction=SCORES[recipe.sweep.stage][1],
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
    )
    inputs = [base_input(recipe), *(pin(*source) for source in sweep_inputs(recipe))]
    ended = (TrialState.COMPLETE, TrialState.PRUNED)

    def objective(trial: Any) -> float:
        drawn = [f"{name}={suggest_value(trial, name, values)}" for name, values in recipe.sweep.space.items()]
        log_progress("sweep", f"trial {trial.number}: {' '.join(drawn)}")
        tried = load(arguments.recipe, [*arguments.overrides, *drawn])
        return trial_score(trial, tried, inputs, arguments.work / f"sweep-{arguments.study}-{trial.number}")

    while True:
        open_trials = study.get_trials(deepcopy=False, states=(*ended, TrialState.RUNNING))
        if sum(trial.state in ended for trial in open_trials) >= recipe.sweep.trials:
            return study
        if len(open_trials) < recipe.sweep.trials:
            study.optimize(objective, n_trials=1)
        else:  # the rest is running elsewhere, or was: optimize would begin one too many
            wait_for_workers(study, arguments.heartbeat)


def shared_storage(address: str, heartbeat: int) -> Any:
    """Study storage in a database, tried again while other workers make the same tables in it.

    Raises:
        UserError: it cannot be used.
    """
    import time

    from optuna.storages import RDBStorage, RetryFailedTrialCallback
    from sqlalchemy.exc import IntegrityError, OperationalError

    for attempt in range(1, 6):
        try:
            return RDBStorage(
                address,
                heartbeat_interval=heartbeat,
                grace_period=SILENCE * heartbeat,
                failed_trial_callback=RetryFailedTrialCallback(max_retry=3),
            )
        except (IntegrityError, OperationalError) as error:
            if attempt == 5:
                raise UserError(f"the storage {address} cannot be used: {error.orig}; see --storage") from error
            time.sleep(attempt)
    raise AssertionError("the last attempt returns or raises")


def wait_for_workers(study: Any, heartbeat: int) -> None:
    """A moment's rest, then a look whether a running trial's worker is dead: then its trial waits for a new one."""
    import time

    import optuna

    time.sleep(heartbeat)
    optuna.storages.fail_stale_trials(study)


def sweep_inputs(recipe: Recipe) -> list[tuple[str, str]]:
    """Repositories that a trial trains from, each with its type."""
    names = recipe.names
    if recipe.sweep.stage == "sft":
        return [(names.dialogue, "dataset")]
    return [(names.adapter("sft"), "model"), (names.preferences, "dataset")]


def suggest_value(trial: Any, name: str, values: list[Any]) -> Any:
    """A value for a field: from a range [low, high, log or linear], or one of some choices."""
    if len(values) == 3 and values[2] in ("log", "linear"):
        low, high, scale = values
        if isinstance(low, int) and isinstance(high, int):
            return trial.suggest_int(name, low, high, log=scale == "log")
        return trial.suggest_float(name, float(low), float(high), log=scale == "log")
    return trial.suggest_categorical(name, values)


def trial_score(trial: Any, recipe: Recipe, inputs: list[Input], folder: Path) -> float:
    """Trains once; returns the last score on held-out rows. Raises TrialPruned where a trial falls behind."""
    import optuna
    from transformers import TrainerCallback

    key = SCORES[recipe.sweep.stage][0]

    class Report(TrainerCallback):
        last: float | None = None

        def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> None:
            if metrics and key in metrics:
                self.last = float(metrics[key])
                trial.report(self.last, state.global_step)
                if trial.should_prune() and state.global_step < state.max_steps:
                    raise optuna.TrialPruned

    report = Report()
    folder.mkdir(parents=True, exist_ok=True)
    train: Any = train_sft if recipe.sweep.stage == "sft" else train_dpo
    train(recipe, *inputs, folder, callbacks=[report])
    if report.last is None:
        raise UserError(
            "no evaluation took place; sft needs eval_strategy, dpo validation_pairs, for a trial to have a score"
        )
    return report.last


def summarize_trials(study: Any) -> list[str]:
    """What became of each trial, one line each; a lost one names its repetition."""
    retried = {trial.system_attrs.get("failed_trial"): trial.number for trial in study.trials}
    lines = []
    for trial in study.trials:
        values = " ".join(f"{name}={value}" for name, value in trial.params.items())
        state = trial.state.name.lower()
        if state == "fail":
            again = f", repeated as trial {retried[trial.number]}" if trial.number in retried else ""
            state = f"lost{again}"
        result = f" {trial.value:.4f}" if trial.value is not None else ""
        lines.append(f"trial {trial.number} {state}{result}  {values}")
    return [*lines, f"best: trial {study.best_trial.number}, {study.best_value:.4f}"]


def write_best(study: Any, recipe: Path, overrides: list[str], out: Path) -> None:
    """Writes `best.yaml`, the recipe with the best values in it, and `study.png`, the score of every trial."""
    import yaml
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    out.mkdir(parents=True, exist_ok=True)
    content = read_recipe_file(recipe, overrides)
    for name, value in study.best_params.items():
        set_key(content, name, value)
    head = f"# The best of {len(study.trials)} trials of study {study.study_name}: {study.best_value:.4f}\n"
    (out / "best.yaml").write_text(head + yaml.safe_dump(content, sort_keys=False))
    drawing = Figure(figsize=(3.2 * len(study.best_params), 3), dpi=120, layout="constrained", facecolor="white")
    FigureCanvasAgg(drawing)
    for axes, name in zip(
        drawing.subplots(1, len(study.best_params), squeeze=False)[0], study.best_params, strict=True
    ):
        done = [trial for trial in study.trials if trial.value is not None]
        axes.scatter([trial.params[name] for trial in done], [trial.value for trial in done], color="#3b78b5", s=18)
        axes.scatter([study.best_params[name]], [study.best_value], color="#c2542d", s=36)
        distribution = study.best_trial.distributions[name]
        axes.set(xlabel=name, ylabel="score", xscale="log" if getattr(distribution, "log", False) else "linear")
        axes.spines[["top", "right"]].set_visible(False)
    drawing.savefig(out / "study.png", metadata={"Software": None})
    log_progress("sweep", f"wrote {out / 'best.yaml'} and {out / 'study.png'}")


if __name__ == "__main__":
    main()
