"""Slurm script of a stage: what `python -m training.jobs STAGE --recipe FILE --slurm` prints, for `sbatch`.

Two minutes before its time is over the job goes back into the queue, and the stage carries on from its last checkpoint.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from hub.deploy.jobs import Job
from hub.errors import UserError
from training.recipe import Recipe

SEVERAL = ("sft", "dpo", "reward")
"""Stages that several GPUs share, a whole model on each."""
MINUTES = {"s": 1 / 60, "m": 1, "h": 60, "d": 24 * 60}
JOB_SCRIPT = """\
#!/bin/bash
# {made}; submit it in the repository, with the environment that it needs: sbatch FILE
#SBATCH --job-name={name}
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --gpus={gpus}
#SBATCH --time={minutes}
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -euo pipefail
{needed}
cd "${{SLURM_SUBMIT_DIR:-.}}"
trap 'scontrol requeue "$SLURM_JOB_ID"; exit 0' USR1  # it carries on from its last checkpoint
srun "${{PYTHON:-.venv/bin/python}}" {command} &
wait $!
"""


def slurm_script(job: Job, recipe: Recipe, path: Path) -> str:
    """Script that runs a job's module in the repository that it is submitted in.

    Secrets are not in it: it asks for the environment variables by name.

    Args:
        job: as for HF Jobs, of which module, arguments and time are taken, and the number of GPUs by its flavor.
        recipe: of the job.
        path: where the recipe lies.

    Raises:
        UserError: its time is none.
    """
    stage = job.module.split(".")[-1]
    gpus = gpus_of(job.flavor) if stage in SEVERAL else 1
    arguments = [str(path) if one == "recipe.yaml" else one for one in job.arguments]
    launcher = ["-m"]
    if gpus > 1:
        file = "training/accelerate/ddp.yaml"
        launcher = ["-m", "accelerate.commands.launch", "--config_file", file, "--num_processes", str(gpus), "-m"]
        rows = getattr(recipe, stage).trl.get("gradient_accumulation_steps", 1)
        arguments.append(f"{stage}.gradient_accumulation_steps={max(1, rows // gpus)}")  # as many rows in a step
    needed = ("HF_TOKEN", *job.secrets)
    return JOB_SCRIPT.format(
        made=f"python -m {job.module} by {path}, from `python -m training.jobs {stage} --slurm`",
        name=job.name,
        gpus=gpus,
        minutes=minutes_of(job.timeout),
        needed="\n".join(f': "${{{name}:?export it before sbatch}}"' for name in needed),
        command=shlex.join([*launcher, job.module, *arguments]),
    )


def gpus_of(flavor: str) -> int:
    """GPUs of a flavor of HF Jobs by its name: l4x4 has four, a100-large one."""
    found = re.search(r"x(\d+)$", flavor)
    return int(found[1]) if found else 1


def minutes_of(timeout: str) -> int:
    """Minutes of a time as a recipe writes it: 30m, 6h, 1.5d; seconds without a letter.

    Raises:
        UserError: it is no time.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", timeout)
    if not found:
        raise UserError(f"jobs.timeout is {timeout!r}; it takes a time such as 30m, 6h or 1d")
    return max(1, round(float(found[1]) * MINUTES[found[2] or "s"]))
