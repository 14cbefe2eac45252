"""The dataset's tables by many tasks: `python -m training.cluster --recipe FILE --tasks 8 [--slurm PARTITION]`.

The steps of `training.data.pairs`, run by datatrove: on this machine, or on a Slurm cluster whose machines all see the
work folder. `python -m training.prepare` with the same recipe and work folder finds the tables made, and publishes
them. Killed, it carries on where it was. It needs training/requirements-cluster.txt.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hub.errors import UserError, one_line_errors
from training.data.prepare import lineage_of, located, made_earlier, weighted
from training.recipe import Recipe, load
from training.slurm import minutes_of
from training.stage import WORK, log_progress, work_folder

if TYPE_CHECKING:
    from training.data.pairs import Build


class Cluster(NamedTuple):
    """What the steps run on."""

    tasks: int
    """Shares of a step, at most."""
    workers: int
    """Tasks at once; -1 is all of them."""
    partition: str | None = None
    """Of Slurm; None is this machine."""


def make_tables(recipe: Recipe, work: Path, cluster: Cluster) -> None:
    """Makes the tables of a recipe's dataset, or on Slurm submits all that makes them.

    Sources are pinned here, once for all tasks.
    """
    from training.data.pairs import Build

    found = located(recipe.data, work)
    folder = work_folder(work, lineage_of(recipe.data, found)).absolute()
    if made_earlier(folder):
        log_progress("prepare", f"made already: {folder}")
        return
    build = Build(weighted(found, recipe.data), recipe.data, folder)
    run_steps(build, cluster, minutes_of(recipe.jobs.timeout))
    log_progress("prepare", f"{'submitted, to be made' if cluster.partition else 'made'} in {folder}")


def run_steps(build: Build, cluster: Cluster, minutes: int) -> None:
    """Runs or submits the steps, each as one pipeline that waits for the one before.

    What is done is noted among the batches, by step and number of tasks, and goes where they go.

    Args:
        build: the dataset.
        cluster: what they run on.
        minutes: that a task may take on Slurm.
    """
    try:
        from datatrove.executor import LocalPipelineExecutor, SlurmPipelineExecutor
    except ImportError as error:
        raise UserError("datatrove is missing; pip install -r training/requirements-cluster.txt") from error

    here, path = os.getcwd(), f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    build.begin()
    last: Any = None
    for name, (step, most) in build_steps(build).items():
        tasks = min(cluster.tasks, most or cluster.tasks)
        common = {
            "pipeline": [partial(take_share, step)],
            "tasks": tasks,
            "workers": cluster.workers,
            "logging_dir": str(build.scratch / "tasks" / f"{name}-of-{tasks}"),
            "depends": last,
        }
        if cluster.partition is None:
            last = LocalPipelineExecutor(**common)
        else:
            last = SlurmPipelineExecutor(
                **common,
                partition=cluster.partition,
                time=str(minutes),
                job_name=f"repartee-{name}",
                qos="",  # the partition's own
                env_command=f"cd {shlex.quote(here)}; export PYTHONPATH={shlex.quote(here)} PATH={shlex.quote(path)}",
            )
    last.run()


def build_steps(build: Build) -> dict[str, tuple[Callable[[slice], Any], int | None]]:
    """The steps by name, in order, and into how many shares each can be cut; None is any number."""
    return {
        "read": (build.read, len(build.sources)),
        "compare": (build.compare, None),
        **({"verify": (build.verify, None)} if build.data.near_duplicates else {}),
        "tally": (lambda whole: build.tally(), 1),
        "write": (build.write, None),
    }


def take_share(step: Callable[[slice], Any], _: Any, rank: int, world_size: int) -> None:
    """Step of a datatrove pipeline: one task's share."""
    step(slice(rank, None, world_size))


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: recipe, tasks and what they run on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=Path("training/recipes/starter.yaml"))
    parser.add_argument("--work", type=Path, default=WORK, help="that all machines see (default: %(default)s)")
    parser.add_argument("--tasks", type=int, default=os.cpu_count(), help="shares of a step (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=-1, help="tasks at once (default: all)")
    parser.add_argument("--slurm", metavar="PARTITION", help="submit to Slurm instead; a task has the jobs.timeout")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="changes to the recipe")
    given = parser.parse_intermixed_args(argv)
    with one_line_errors():
        if given.tasks < 1:
            raise UserError(f"--tasks is {given.tasks}; it takes 1 or more")
        make_tables(load(given.recipe, given.overrides), given.work, Cluster(given.tasks, given.workers, given.slurm))


if __name__ == "__main__":
    main()
