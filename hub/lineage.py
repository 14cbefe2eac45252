"""What an artifact was made from: `python -m hub.lineage NAMESPACE/NAME [--verify]` prints the tree to the corpus.

Every repository carries a `lineage.json`: the stage, its settings, and each input as repository, type and full commit
sha. A stage whose settings and inputs are those of the published artifact is up to date: the Hub is the build cache.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from hub.errors import UserError, one_line_errors

VERSION = "0.1.0"
FILE = "lineage.json"
REPORT = "report/"
"""Folder of what is told of an artifact after it was made; no part of its content."""


@dataclass(frozen=True)
class Input:
    """One input of a stage."""

    repo: str
    type: str  # model, dataset, space, or file
    revision: str  # full commit sha; of a file its sha256
    content: str
    """sha256 over the paths and hashes of what the repository holds, cards, figures and reports left out: a better card
    makes nothing stale."""


@dataclass(frozen=True)
class Lineage:
    stage: str
    settings: dict[str, Any]
    inputs: tuple[Input, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    """What was found on the way (counts, losses, minutes): for the card, not part of the identity."""
    code: str = VERSION

    @property
    def fingerprint(self) -> str:
        """sha256 of stage, settings and input contents: equal fingerprints name the same work."""
        inputs = [(source.repo, source.type, source.content) for source in self.inputs]
        identity = json.dumps([self.stage, self.settings, inputs], sort_keys=True, default=list)
        return hashlib.sha256(identity.encode()).hexdigest()

    def to_json(self) -> str:
        return json.dumps({**asdict(self), "fingerprint": self.fingerprint}, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Lineage:
        """Reads what `to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
        content = json.loads(text)
        known = {part.name: content[part.name] for part in fields(cls)}
        return cls(**known | {"inputs": tuple(Input(**source) for source in content["inputs"])})


def resolve(repo: str, type: str, revision: str = "main") -> Input:
    """Pins a repository to its commit of the moment.

    Raises:
        huggingface_hub.errors.RepositoryNotFoundError: it does not exist.
    """
    from huggingface_hub import HfApi

    info = HfApi().repo_info(repo, repo_type=type, revision=revision, files_metadata=True)
    return Input(repo, type, str(info.sha), content_hash(file_hashes(info)))


def unchanged(source: Input, revision: str) -> bool:
    """Whether a commit of an input's repository holds what was used; a commit of its card alone changes nothing."""
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    if revision == source.revision:
        return True
    try:
        return resolve(source.repo, source.type, revision).content == source.content
    except (RepositoryNotFoundError, RevisionNotFoundError):
        return False


def content_hash(hashes: Mapping[str, str]) -> str:
    """sha256 over the paths and hashes of files; cards, figures and reports left out."""
    files = sorted((path, name) for path, name in hashes.items() if not about_it(path))
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()


def about_it(path: str) -> bool:
    """Whether a file tells of an artifact, and is no part of it."""
    return path == "README.md" or path.endswith(".png") or path.startswith(REPORT)


def file_hashes(info: Any) -> dict[str, str]:
    """Path to hash of the files of `repo_info(..., files_metadata=True)`: git blob id, or sha256 of a large one."""
    files = getattr(info, "siblings", None) or []
    return {file.rfilename: file.lfs.sha256 if file.lfs else str(file.blob_id) for file in files}


def published(repo: str, type: str, revision: str | None = None) -> tuple[str, Lineage] | None:
    """Returns the commit and lineage of a published artifact, or None where there is none yet.

    Raises:
        UserError: its lineage.json is not one of ours.
        LocalEntryNotFoundError, HfHubHTTPError, httpx2.TransportError: the Hub does not say whether there is one, which
            must never be taken for a no.
    """
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import RemoteEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        sha = str(HfApi().repo_info(repo, repo_type=type, revision=revision).sha)
        path = hf_hub_download(repo, FILE, repo_type=type, revision=sha)
    except (RepositoryNotFoundError, RevisionNotFoundError, RemoteEntryNotFoundError):
        return None
    try:
        return sha, Lineage.from_json(Path(path).read_text("utf-8"))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{FILE} of {type} {repo}@{sha} is not one of Repartee's; use another namespace") from error


def training_minutes(model: Input) -> float | None:
    """How long an adapter was trained, by its own account, and the reward model that it was trained against."""
    found = published(model.repo, model.type, model.revision)
    if not found or "minutes" not in found[1].facts:
        return None
    rewards = [made for made in found[1].inputs if made.repo.endswith("-reward")]
    return round(found[1].facts["minutes"] + sum(training_minutes(reward) or 0 for reward in rewards), 2)


def up_to_date(repo: str, type: str, lineage: Lineage) -> str | None:
    """Returns the commit of the published artifact where it was made by this very work, else None."""
    found = published(repo, type)
    return found[0] if found and found[1].fingerprint == lineage.fingerprint else None


def differences(old: Lineage, new: Lineage) -> list[str]:
    """Why an artifact is stale: the settings and inputs in which its lineage differs from the one it would have."""
    before, after = dict(flat(old.settings)), dict(flat(new.settings))
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    told = [f"{name} {before.get(name, 'none')} -> {after.get(name, 'none')}" for name in changed]
    known = {(source.repo, source.type): source.content for source in old.inputs}
    return told + [
        f"{source.repo} {'has changed' if (source.repo, source.type) in known else 'is new'}"
        for source in new.inputs
        if known.get((source.repo, source.type)) != source.content
    ]


def flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings as `section.key` and value, as JSON has them."""
    for key, value in json.loads(json.dumps(settings, default=list)).items():
        if isinstance(value, dict):
            yield from flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def tree(repo: str, type: str, revision: str | None = None, depth: int = 0) -> Iterator[str]:
    """Yields one line for an artifact and for everything below it.

    Raises:
        UserError: the artifact itself is not published. An input may be: a base model has no lineage.
    """
    found = published(repo, type, revision)
    if found is None and depth == 0:
        raise UserError(f"no {type} {repo} with a {FILE} is published; check the name and --type")
    stage = f"  ({found[1].stage})" if found else ""
    sha = found[0] if found else str(revision)
    yield f"{'  ' * depth}{type} {repo}@{sha}{stage}  {address(repo, type, sha)}"
    for source in found[1].inputs if found else ():
        if source.type == "file":
            yield f"{'  ' * (depth + 1)}file {source.repo} sha256 {source.revision}"
        else:
            yield from tree(source.repo, source.type, source.revision, depth + 1)


def address(repo: str, type: str, sha: str) -> str:
    """Where a person sees a repository at a commit."""
    from huggingface_hub.constants import ENDPOINT

    return f"{ENDPOINT}/{'' if type == 'model' else type + 's/'}{repo}/tree/{sha}"


def found_as(name: str) -> tuple[str, str]:
    """The Hub id and type of what a person calls `name`: with or without namespace, whatever its type.

    Raises:
        UserError: there is nothing of that name with a lineage.
    """
    from huggingface_hub import whoami

    repo = name if "/" in name else f"{whoami()['name']}/{name}"
    for type in ("model", "dataset", "space"):
        if published(repo, type):
            return repo, type
    raise UserError(f"no model, dataset or Space {repo} with a {FILE} is published; check the name and HF_TOKEN")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repo", help="with its namespace, or in the token's own")
    parser.add_argument("--type", choices=["model", "dataset", "space"], help="default: the first that there is")
    parser.add_argument("--revision", help="branch, tag or full commit (default: main)")
    parser.add_argument("--verify", action="store_true", help="fetch everything and check every hash")
    arguments = parser.parse_args()
    with one_line_errors():
        repo, type = (arguments.repo, arguments.type) if arguments.type else found_as(arguments.repo)
        print("\n".join(tree(repo, type, arguments.revision)), flush=True)
        if arguments.verify:
            from hub.verify import verify

            wrong = 0
            for right, line in verify(repo, type, arguments.revision):
                print(f"{'ok   ' if right else 'WRONG'} {line}", flush=True)
                wrong += not right
            if wrong:
                raise UserError(f"{wrong} of what {repo} says of its origin is not true; see above")


if __name__ == "__main__":
    main()
