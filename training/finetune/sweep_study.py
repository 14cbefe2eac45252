"""Study of a search: its storage, which workers share, and what is told of it, as lines, table, picture and card."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hub.errors import UserError
from hub.lineage import REPORT
from training.recipe_file import read_recipe_file, set_key
from training.stage import log_progress

SILENCE = 6
"""Heartbeats after which a worker is dead."""
SEARCH_BEGIN, SEARCH_END = "<!-- search -->", "<!-- /search -->"
STUDY_TABLE, STUDY_PICTURE = "study.md", "study.png"


def shared_storage(address: str, heartbeat: int) -> Any:
    """Study storage in a database, tried again while other workers make the same tables in it.

    Raises:
        UserError: it cannot be used.
    """
    import time

    from optuna.storages import RDBStorage, RetryFailedTrialCallback
    from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

    for attempt in range(1, 6):
        try:
            return RDBStorage(
                address,
                heartbeat_interval=heartbeat,
                grace_period=SILENCE * heartbeat,
                failed_trial_callback=RetryFailedTrialCallback(max_retry=3),
            )
        except ImportError as error:
            raise UserError(
                f"{address.partition(':')[0]} needs its driver; for postgresql: pip install 'psycopg[binary]'"
            ) from error
        except (IntegrityError, OperationalError, ProgrammingError) as error:
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
    taken, whole = steps_saved(study)
    saved = f"{taken} of {whole} steps taken, {1 - taken / whole:.0%} saved by stopping what fell behind"
    return [*lines, saved, f"best: trial {study.best_trial.number}, {study.best_value:.4f}"]


def steps_saved(study: Any) -> tuple[int, int]:
    """Optimizer steps that the ended trials took, and those that they would have taken to their end."""
    ended = [trial.user_attrs for trial in study.trials if "steps" in trial.user_attrs and trial.state.name != "FAIL"]
    return sum(one["steps"] for one in ended), sum(one["max_steps"] for one in ended)


def trials_table(study: Any) -> str:
    """Table of the trials in markdown, the best first, those that were stopped by their last score behind them."""
    names = list(study.best_params)
    head = ["trial", *names, "score", "steps", ""]
    lines = [f"| {' | '.join(head)} |", f"|{'---:|' * len(head)}"]
    sign = 1 if study.direction.name == "MINIMIZE" else -1
    told = [trial for trial in study.trials if trial.state.name in ("COMPLETE", "PRUNED")]
    for trial in sorted(told, key=lambda trial: (trial.state.name, sign * trial.value)):
        values = [f"{value:.3g}" if isinstance(value, float) else str(value) for value in map(trial.params.get, names)]
        steps = f"{trial.user_attrs['steps']} of {trial.user_attrs['max_steps']}"
        how = "best" if trial.number == study.best_trial.number else "stopped" if trial.state.name == "PRUNED" else ""
        lines.append(f"| {' | '.join([str(trial.number), *values, f'{trial.value:.4f}', steps, how])} |")
    taken, whole = steps_saved(study)
    lines.append(
        f"\n{taken} of {whole} steps were taken: stopping the trials that fell behind saved {1 - taken / whole:.0%}."
    )
    return "\n".join(lines)


def write_study(study: Any, recipe: Path, overrides: list[str], out: Path) -> None:
    """Writes `best.yaml`, the recipe with the best values in it, and the study as `study.md` and `study.png`."""
    import yaml

    out.mkdir(parents=True, exist_ok=True)
    content = read_recipe_file(recipe, overrides)
    for name, value in study.best_params.items():
        set_key(content, name, value)
    head = f"# The best of {len(study.trials)} trials of study {study.study_name}: {study.best_value:.4f}\n"
    (out / "best.yaml").write_text(head + yaml.safe_dump(content, sort_keys=False))
    (out / STUDY_TABLE).write_text(trials_table(study) + "\n")
    draw_study(study, out / STUDY_PICTURE)
    log_progress("sweep", f"wrote {out / 'best.yaml'}, {out / STUDY_TABLE} and {out / STUDY_PICTURE}")


def draw_study(study: Any, path: Path) -> None:
    """Draws the score of every trial over each field that was searched, those that were stopped in grey."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(3.2 * len(study.best_params), 3), dpi=120, layout="constrained", facecolor="white")
    FigureCanvasAgg(drawing)
    for axes, name in zip(
        drawing.subplots(1, len(study.best_params), squeeze=False)[0], study.best_params, strict=True
    ):
        for state, color in (("COMPLETE", "#3b78b5"), ("PRUNED", "#b9bdc1")):
            done = [trial for trial in study.trials if trial.value is not None and trial.state.name == state]
            axes.scatter([trial.params[name] for trial in done], [trial.value for trial in done], color=color, s=18)
        axes.scatter([study.best_params[name]], [study.best_value], color="#c2542d", s=36)
        distribution = study.best_trial.distributions[name]
        axes.set(xlabel=name, ylabel="score", xscale="log" if getattr(distribution, "log", False) else "linear")
        axes.spines[["top", "right"]].set_visible(False)
    drawing.savefig(path, metadata={"Software": None})


def with_search(card: str, text: str) -> str:
    """A card with a text on the search at its end, in place of an older one."""
    rest = re.sub(f"\n*{SEARCH_BEGIN}.*?{SEARCH_END}\n", "\n", card, flags=re.DOTALL)
    return f"{rest.rstrip()}\n\n{SEARCH_BEGIN}\n\n{text}\n\n{SEARCH_END}\n"


def publish_study(study: Any, repo: str, out: Path) -> str:
    """Puts table and picture of a study into the card of the adapter that was searched for; returns the commit.

    A card alone makes nothing stale. The adapter is not trained again: the table says which settings it should have.

    Raises:
        UserError: the adapter is not published.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_download
    from huggingface_hub.errors import RepositoryNotFoundError

    from hub.lineage import pin

    try:
        now = pin(repo, "model")
    except RepositoryNotFoundError as error:
        raise UserError(f"{repo} is not published yet; train it by {out / 'best.yaml'} first") from error
    card = Path(hf_hub_download(repo, "README.md", revision=now.revision)).read_text("utf-8")
    table, picture = (out / STUDY_TABLE).read_text(), f"{REPORT}{STUDY_PICTURE}"
    intro = f"## Search\n\n{len(study.trials)} trials by Optuna, scored on held-out rows:"
    text = f"{intro}\n\n{table}\n![Score of each trial]({picture})"
    files = {"README.md": with_search(card, text).encode(), picture: (out / STUDY_PICTURE).read_bytes()}
    commit = HfApi().create_commit(
        repo,
        [CommitOperationAdd(path, content) for path, content in files.items()],
        commit_message="Search",
        parent_commit=now.revision,
    )
    log_progress("sweep", f"the study is in the card of {repo}@{commit.oid}")
    return str(commit.oid)
