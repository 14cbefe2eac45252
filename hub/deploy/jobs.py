"""HF Jobs: the code goes to the Hub in one commit, and a job runs a module of it at that commit.

Unrun on the real service so far; `training.jobs` is its command line.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.errors import NO_TOKEN, UserError
from hub.lineage import Lineage
from hub.pasted import pasted_secret
from hub.publish import publish

ROOT = Path(__file__).parents[2]
CODE_FOLDERS = ("chat", "eval", "hub", "stats", "training")
SCRIPT = Path(__file__).with_name("job_entrypoint.py")
EXCLUDED_SUFFIXES = (".pyc", ".pt")
EXCLUDED_FOLDERS = {"__pycache__", "adapters"}
"""Caches, and the adapters that are shipped for the page."""


@dataclass(frozen=True)
class Job:
    """One module to run elsewhere."""

    module: str
    arguments: Sequence[str]
    """Of its command line; the recipe is `recipe.yaml` there."""
    recipe: str
    """The text of the recipe file."""
    code: str
    """Hub id of the dataset that carries the code."""
    flavor: str
    timeout: str
    secrets: Sequence[str] = ()
    """Names of environment variables whose values it gets, beside HF_TOKEN; as secrets, which nobody can read back."""

    @property
    def name(self) -> str:
        """The name of the job on the Hub: `repartee-` and the stage."""
        return f"repartee-{self.module.split('.')[-1]}"


def requirements(root: Path = ROOT) -> list[str]:
    """What the job installs: the pipeline's requirements, one a line."""
    lines = (line.split("#")[0].strip() for line in (root / "requirements.txt").read_text("utf-8").splitlines())
    return [line for line in lines if line]


def code_files(root: Path = ROOT) -> dict[str, bytes | Path]:
    """Our code and the small files beside it, by path."""
    found = [path for room in CODE_FOLDERS for path in sorted((root / room).rglob("*")) if path.is_file()]
    files = {path.relative_to(root): path for path in [*found, root / "requirements.txt"]}
    kept = [at for at in files if at.suffix not in EXCLUDED_SUFFIXES and not EXCLUDED_FOLDERS & {*at.parts}]
    return {at.as_posix(): files[at] for at in kept}


def secrets_of(job: Job) -> dict[str, str]:
    """HF_TOKEN and the named ones, from the environment.

    Raises:
        UserError: one of them is not there.
    """
    from huggingface_hub import get_token

    if (token := get_token()) is None:
        raise UserError(NO_TOKEN)
    if missing := [name for name in job.secrets if not pasted_secret(name)]:
        raise UserError(f"jobs.secrets names {missing[0]}, which is not in the environment; export it first")
    return {"HF_TOKEN": token, **{name: pasted_secret(name) for name in job.secrets}}


def run_job(job: Job) -> str:
    """Sends the job, follows its log to the end, and returns its id.

    Ctrl-C leaves the job running, and says how to follow and to cancel it.

    Raises:
        UserError: a secret is missing, or the job did not complete.
    """
    from huggingface_hub import HfApi

    api, secrets = HfApi(), secrets_of(job)
    revision = publish(job.code, "dataset", code_files(), Lineage("code", {}, ()), "Code", private=True)
    payload: dict[str, Any] = {"code": job.code, "revision": revision, "module": job.module}
    payload |= {"arguments": list(job.arguments), "recipe": job.recipe}
    info: Any = api.run_uv_job(
        str(SCRIPT),
        dependencies=requirements(),
        env={"REPARTEE_JOB": json.dumps(payload)},
        secrets=secrets,
        flavor=job.flavor,
        timeout=job.timeout,
        name=job.name,
    )
    print(f"job {info.id} on {job.flavor}: {info.url}", flush=True)
    try:
        for line in api.fetch_job_logs(job_id=info.id, follow=True):
            print(line.rstrip(), flush=True)
        ended: Any = api.wait_for_job(info.id)
    except KeyboardInterrupt:
        print(f"job {info.id} runs on; follow it by `hf jobs logs {info.id}`, end it by `hf jobs cancel {info.id}`")
        raise
    stage = str(getattr(ended.status.stage, "value", ended.status.stage))
    if stage != "COMPLETED":
        why = f" ({ended.status.message})" if ended.status.message else ""
        raise UserError(f"job {info.id} ended as {stage}{why}; see its log above, finished stages are kept")
    print(f"job {info.id} completed", flush=True)
    return str(info.id)


def preview_job(job: Job) -> None:
    """Prints what would be sent, secrets by name alone, and sends nothing. Raises as `run` where one is missing."""
    files = code_files()
    size = sum(path.stat().st_size for path in files.values() if isinstance(path, Path))
    print(f"job {job.name} on {job.flavor}, at most {job.timeout}")
    print(f"  runs python -m {job.module} {' '.join(job.arguments)}")
    print(f"  code: {len(files)} files, {size:,} bytes, to the private dataset {job.code}")
    print(f"  installs {', '.join(requirements())}")
    for name in secrets_of(job):
        print(f"  secret {name}: ***")
