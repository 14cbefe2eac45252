"""HF Jobs, one stage a job: `python -m training.jobs sft --recipe training/recipes/qwen2.5-3b.yaml [--dry-run]`.

The recipe's `jobs` section says on which hardware and for how long at most. What a stage makes lies on the Hub either
way, so stages may run here and there in turns. `--slurm` prints a script for a cluster's `sbatch` instead. Unrun on the
real service and on a cluster so far.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from hub.deploy.jobs import Job, preview_job, run_job
from hub.errors import UserError, one_line_errors
from hub.text_file import read_text_file
from training.finetune import merge
from training.pipeline import ONLINE, REALISM, TO_DPO, TO_SFT
from training.recipe import load
from training.slurm import slurm_script

JOB_STAGES = ("pipeline", *TO_SFT, *REALISM, *TO_DPO, *ONLINE, "merge")


def job_of(stage: str, path: Path, words: list[str]) -> Job:
    """HF job that runs a stage by a recipe.

    Args:
        stage: one of `JOB_STAGES`.
        path: the recipe, which travels with the job.
        words: overrides of the recipe; for `merge`, the adapter's kind before them.

    Raises:
        UserError: there is no such stage, or the recipe cannot be.
    """
    if stage not in JOB_STAGES:
        raise UserError(f"{stage} is no stage that runs on HF Jobs; there are {', '.join(JOB_STAGES)}")
    kind, overrides = (words[:1], words[1:]) if stage == "merge" else ([], words)
    if stage == "merge" and not set(kind) & set(merge.KINDS):
        raise UserError(f"merge needs the adapter to merge: {', '.join(merge.KINDS)}")
    recipe = load(path, overrides)
    return Job(
        module=f"training.{stage}",
        arguments=[*kind, "--recipe", "recipe.yaml", *overrides],
        recipe=read_text_file(path),
        code=recipe.names.code,
        flavor=recipe.jobs.flavor,
        timeout=recipe.jobs.timeout,
        secrets=recipe.jobs.secrets,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: stage, recipe and overrides of a job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", help=", ".join(JOB_STAGES))
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--dry-run", action="store_true", help="show what would be sent, and send nothing")
    parser.add_argument("--slurm", action="store_true", help="print a script for sbatch, and send nothing")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="section.key=value",
        help="changes to the recipe; of merge, the kind first",
    )
    arguments = parser.parse_intermixed_args(argv)
    with one_line_errors():
        job = job_of(arguments.stage, arguments.recipe, arguments.overrides)
        if arguments.slurm:
            overrides = [word for word in arguments.overrides if "=" in word]
            print(slurm_script(job, load(arguments.recipe, overrides), arguments.recipe), end="")
        else:
            (preview_job if arguments.dry_run else run_job)(job)


if __name__ == "__main__":
    main()
