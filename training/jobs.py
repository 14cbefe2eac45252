"""A stage on HF Jobs: `python -m training.jobs sft --recipe training/recipes/qwen2.5-3b.yaml [--dry-run]`.

The recipe's `jobs` section says on which hardware and for how long at most. What a stage makes lies on the Hub either
way, so stages may run here and there in turns. Unrun on the real service so far.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from hub.deploy.jobs import Job, preview_job, run_job
from hub.errors import UserError, one_line_errors
from training.recipe import load

STAGES = ("pipeline", "prepare", "base", "sft", "preferences", "dpo")


def job_of(stage: str, path: Path, overrides: list[str]) -> Job:
    """The job that runs a stage by a recipe.

    Raises:
        UserError: there is no such stage, or the recipe cannot be.
    """
    if stage not in STAGES:
        raise UserError(f"{stage} is no stage that runs on HF Jobs; there are {', '.join(STAGES)}")
    recipe = load(path, overrides)
    return Job(
        module=f"training.{stage}",
        arguments=["--recipe", "recipe.yaml", *overrides],
        recipe=path.read_text("utf-8"),
        code=recipe.names.code,
        flavor=recipe.jobs.flavor,
        timeout=recipe.jobs.timeout,
        secrets=recipe.jobs.secrets,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", help=", ".join(STAGES))
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--dry-run", action="store_true", help="show what would be sent, and send nothing")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="changes to the recipe")
    arguments = parser.parse_intermixed_args()
    with one_line_errors():
        job = job_of(arguments.stage, arguments.recipe, arguments.overrides)
        (preview_job if arguments.dry_run else run_job)(job)


if __name__ == "__main__":
    main()
