"""Deployment of the Space: `python -m hub.space --namespace NAMESPACE --size qwen2.5-0.5b [--dry-run]`.

In this order: the revisions of the three variants are pinned; the Space is made; its variables and secrets are set; one
commit brings the code, its requirements and a README; the log is shown if it does not run; /chat and /compare are
asked. If they do not answer, the commit and the variables before it are put back.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub.deploy.bundle import preloaded_model, space_files
from hub.deploy.smoke_test import smoke_test, wait_until_running
from hub.errors import UserError, one_line_errors
from hub.lineage import Input, Lineage, pin
from hub.names import Names
from hub.publish import preview_publish, publish
from hub.write_access import require_write_access

if TYPE_CHECKING:
    from huggingface_hub import HfApi

HARDWARE = "zero-a10g"  # the one that free accounts may have; zero-a10g is ZeroGPU
LOOKS_SECRET = re.compile(r"(?<![\w-])(hf_|sk-|ghp_)\w{8,}")
CANNOT_CREATE = (
    "this account's plan does not allow such a Space (402). Free accounts may have two of --hardware zero-a10g; CPU "
    "and GPU hardware takes a PRO account or credits"
)


@dataclass(frozen=True)
class Deployment:
    """What is deployed."""

    names: Names
    base: str
    hardware: str = HARDWARE
    private: bool = False
    secrets: Sequence[str] = ()
    """Names of environment variables whose values the Space gets as secrets."""
    revisions: Mapping[str, str] = field(default_factory=dict)
    """Branch, tag or commit by variant; main for the others."""

    def inputs(self) -> dict[str, Input]:
        """The three variants, pinned to full commits."""
        repos = {"base": self.base, **{kind: self.names.adapter(kind) for kind in ("sft", "dpo")}}
        return {variant: pin(repo, "model", self.revisions.get(variant, "main")) for variant, repo in repos.items()}

    def variables(self, inputs: Mapping[str, Input]) -> dict[str, str]:
        """What app.py reads. Public: everybody can see them."""
        pinned = {f"REPARTEE_{variant.upper()}_REVISION": source.revision for variant, source in inputs.items()}
        return {
            "REPARTEE_NAMESPACE": self.names.namespace,
            "REPARTEE_SIZE": self.names.size,
            "REPARTEE_BASE": self.base,
            **pinned,
        }

    def files(self, inputs: Mapping[str, Input]) -> tuple[dict[str, bytes | Path], Lineage]:
        """Everything that the Space holds but its lineage, by path, and the lineage."""
        settings = {"size": self.names.size, "base": self.base}
        lineage = Lineage("space", settings, tuple(inputs.values()))
        variants = {name: preloaded_model(source) for name, source in inputs.items()}
        return space_files(self.names.space, variants, [self.names.dialogue], lineage), lineage


def deploy(deployment: Deployment, minutes: float = 20, interval: float = 2) -> str:
    """Deploys and tries the Space; returns the full sha of the commit that runs.

    Raises:
        UserError: the plan does not allow it, a secret is not in the environment, or the Space does not run or answer:
            then what ran before has been put back.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api, repo = HfApi(), deployment.names.space
    require_write_access(repo, "space", deployment.private)
    secrets = {name: secret_from_environment(name) for name in deployment.secrets}
    inputs = deployment.inputs()
    variables = check_public(deployment.variables(inputs), secrets)
    files, lineage = deployment.files(inputs)
    creation: dict[str, Any] = {"space_sdk": "gradio", "space_hardware": deployment.hardware}
    try:
        api.create_repo(repo, repo_type="space", private=deployment.private, exist_ok=True, **creation)
    except HfHubHTTPError as error:
        if error.response.status_code == 402:
            raise UserError(CANNOT_CREATE) from error
        raise
    old = {name: str(variable.value) for name, variable in api.get_space_variables(repo).items()}
    before = str(api.space_info(repo).sha)
    first = not api.file_exists(repo, "app.py", repo_type="space")
    for name, value in secrets.items():
        api.add_space_secret(repo, name, value)
        print(f"secret {name} set", flush=True)
    with undone_on_error(lambda: restore(api, repo, before, old, variables, first)):
        set_variables(api, repo, old, variables)
        commit = publish(repo, "space", files, lineage, "Deploy", private=deployment.private, **creation)
        wait_until_running(api, repo, commit, minutes, interval)
        smoke_test(api, repo)
    print(f"{repo}@{commit} runs and answers", flush=True)
    return commit


@contextmanager
def undone_on_error(undo: Callable[[], str]) -> Iterator[None]:
    """A deployment that does not stay where it fails, by Ctrl-C and a Hub in trouble as well.

    Args:
        undo: puts back what was there, and says so in a line, which joins a UserError or is printed before another.
    """
    try:
        yield
    except BaseException as error:
        outcome = undo()
        if isinstance(error, UserError):
            raise UserError(f"{error}. {outcome}") from error
        print(outcome, flush=True)
        raise


def restore(
    api: HfApi, repo: str, before: str, old: Mapping[str, str], variables: Mapping[str, str], first: bool
) -> str:
    """Brings back the commit and the variables from before a deployment, or pauses a first one; says what it did."""
    if first:
        api.pause_space(repo)
        return "It was the first deployment: the Space is paused"
    restored = before if str(api.space_info(repo).sha) == before else roll_back(api, repo, before)
    set_variables(api, repo, variables, old)
    return f"Put back what ran before: {repo}@{restored}"


def secret_from_environment(name: str) -> str:
    """The value of an environment variable that the Space gets as a secret. Raises UserError where it is not set."""
    if value := os.environ.get(name):
        return value
    raise UserError(f"--secret {name}: no such variable in the environment; export it first, never write it here")


def check_public(variables: dict[str, str], secrets: Mapping[str, str]) -> dict[str, str]:
    """The variables, which everybody can read, after a look for what nobody should."""
    from huggingface_hub import get_token

    hidden = [value for value in (*secrets.values(), get_token()) if value]
    for name, value in variables.items():
        if LOOKS_SECRET.search(value) or any(one in value for one in hidden):
            raise UserError(f"{name} would be a public variable and looks like a secret; give it by --secret")
    return variables


def set_variables(api: HfApi, repo: str, present: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Makes the wanted variables those of the Space; ones that are not ours stay."""
    for name, value in wanted.items():
        if present.get(name) != value:
            api.add_space_variable(repo, name, value)
    for name in present:
        if name.startswith("REPARTEE_") and name not in wanted:
            api.delete_space_variable(repo, name)


def roll_back(api: HfApi, repo: str, revision: str) -> str:
    """Makes main hold the tree of an earlier commit again, in a new commit; returns its full sha."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, hf_hub_download

    then = api.list_repo_files(repo, repo_type="space", revision=revision)
    now = api.list_repo_files(repo, repo_type="space")
    operations: list[Any] = [
        CommitOperationAdd(path, hf_hub_download(repo, path, repo_type="space", revision=revision)) for path in then
    ]
    operations += [CommitOperationDelete(path) for path in now if path not in then]
    message = f"Back to {revision[:12]}"
    return api.create_commit(repo, operations, commit_message=message, repo_type="space").oid


def preview_deployment(deployment: Deployment) -> None:
    """Prints what `deploy` would do, and does nothing."""
    inputs = deployment.inputs()
    print(f"Space {deployment.names.space} on {deployment.hardware}{', private' if deployment.private else ''}")
    for name, value in check_public(deployment.variables(inputs), {}).items():
        print(f"  variable {name}={value}")
    for name in deployment.secrets:
        secret_from_environment(name)
        print(f"  secret {name} from the environment")
    files, lineage = deployment.files(inputs)
    preview_publish(deployment.names.space, "space", files, lineage, deployment.private)


def main() -> None:
    """The command line of `python -m hub.space`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--size", default="starter", help="of the models: part of their names (default: %(default)s)")
    parser.add_argument("--base", help="Hub id of the base (default: the one that the DPO adapter names)")
    parser.add_argument("--hardware", default=HARDWARE, help="default: %(default)s, which is ZeroGPU")
    parser.add_argument("--private", action="store_true")
    parser.add_argument(
        "--secret", action="append", default=[], metavar="NAME", help="from the environment; repeatable"
    )
    parser.add_argument("--minutes", type=float, default=20, help="to wait until it runs (default: %(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, and do nothing")
    given = parser.parse_args()
    with one_line_errors():
        names = Names(given.namespace, given.size)
        base = given.base or named_base(names.adapter("dpo"))
        deployment = Deployment(names, base, given.hardware, given.private, given.secret)
        if given.dry_run:
            preview_deployment(deployment)
        else:
            deploy(deployment, given.minutes)


def named_base(adapter: str) -> str:
    """The base that an adapter names."""
    import json

    from huggingface_hub import hf_hub_download

    with open(hf_hub_download(adapter, "adapter_config.json"), encoding="utf-8") as file:
        return str(json.load(file)["base_model_name_or_path"])


if __name__ == "__main__":
    main()
