"""Lineage: what an artifact was made from; `python -m hub.lineage NAMESPACE/NAME [--verify]` prints it (`hub.trace`).

Every repository carries a `lineage.json`: the stage, its settings, and each input as repository, type and full commit
sha. A stage whose settings and inputs are those of the published artifact is up to date: the Hub is the build cache.
"""

from __future__ import annotations

import hashlib
import json
import runpy
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from hub.errors import UserError

VERSION = "0.1.0"
LINEAGE_FILE = "lineage.json"
REPORT = "report/"
"""Folder of reports on an artifact, made after it; no part of its content."""


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
    """What an artifact was made from: stage, settings and inputs; `lineage.json` of its repository."""

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
        """The text of `lineage.json`, fingerprint included."""
        return json.dumps({**asdict(self), "fingerprint": self.fingerprint}, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Lineage:
        """Reads what `to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
        content = json.loads(text)
        known = {part.name: content[part.name] for part in fields(cls)}
        return cls(**known | {"inputs": tuple(Input(**source) for source in content["inputs"])})


def pin(repo: str, type: str, revision: str = "main") -> Input:
    """Pins a repository to its commit of the moment.

    Raises:
        huggingface_hub.errors.RepositoryNotFoundError: it does not exist.
    """
    from huggingface_hub import HfApi

    info = HfApi().repo_info(repo, repo_type=type, revision=revision, files_metadata=True)
    return Input(repo, type, str(info.sha), content_hash(file_hashes(info)))


def pin_model(text: str) -> Input:
    """Pins the model of `HUB_ID` or `HUB_ID@COMMIT`.

    Raises:
        UserError: the text names none.
        huggingface_hub.errors.RepositoryNotFoundError: it does not exist.
    """
    repo, _, revision = text.partition("@")
    if not repo:
        raise UserError(f"{text!r} names no model; write HUB_ID or HUB_ID@COMMIT")
    return pin(repo, "model", revision or "main")


def unchanged(source: Input, revision: str) -> bool:
    """Whether a commit of an input's repository holds what was used; a commit of its card alone changes nothing."""
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    if revision == source.revision:
        return True
    try:
        return pin(source.repo, source.type, revision).content == source.content
    except (RepositoryNotFoundError, RevisionNotFoundError):
        return False


def content_hash(hashes: Mapping[str, str]) -> str:
    """sha256 over the paths and hashes of files; cards, figures and reports left out."""
    files = sorted((path, name) for path, name in hashes.items() if not is_description(path))
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()


def is_description(path: str) -> bool:
    """Whether a file tells of an artifact, or of how a Hub stores it, and is no part of it."""
    return path in ("README.md", ".gitattributes") or path.endswith(".png") or path.startswith(REPORT)


def file_hashes(info: Any) -> dict[str, str]:
    """Path to hash of the files of `repo_info(..., files_metadata=True)`: git blob id, or sha256 of a large one."""
    files = getattr(info, "siblings", None) or []
    return {file.rfilename: file.lfs.sha256 if file.lfs else str(file.blob_id) for file in files}


def fetch_lineage(repo: str, type: str, revision: str | None = None) -> tuple[str, Lineage] | None:
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
        path = hf_hub_download(repo, LINEAGE_FILE, repo_type=type, revision=sha)
    except (RepositoryNotFoundError, RevisionNotFoundError, RemoteEntryNotFoundError):
        return None
    try:
        return sha, Lineage.from_json(Path(path).read_text("utf-8"))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{LINEAGE_FILE} of {type} {repo}@{sha} is not one of Repartee's; use another namespace"
        ) from error


def training_minutes(model: Input) -> float | None:
    """How long an adapter was trained, by its own account, and the reward model that it was trained against."""
    found = fetch_lineage(model.repo, model.type, model.revision)
    if not found or "minutes" not in found[1].facts:
        return None
    rewards = [made for made in found[1].inputs if made.repo.endswith("-reward")]
    own: float = found[1].facts["minutes"]
    return round(own + sum(training_minutes(reward) or 0 for reward in rewards), 2)


def up_to_date(repo: str, type: str, lineage: Lineage) -> str | None:
    """Returns the commit of the published artifact where it was made by this very work, else None."""
    found = fetch_lineage(repo, type)
    return found[0] if found and found[1].fingerprint == lineage.fingerprint else None


def differences(old: Lineage, new: Lineage) -> list[str]:
    """Why an artifact is stale: the settings and inputs in which its lineage differs from the one it would have."""
    before, after = dict(flatten(old.settings)), dict(flatten(new.settings))
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    # settings keep a recipe's fields of TRL's in a mapping of their own, which nobody writes: dpo.trl.beta is dpo.beta
    reasons = [
        f"{name.replace('.trl.', '.')} {before.get(name, 'none')} -> {after.get(name, 'none')}" for name in changed
    ]
    known = {(source.repo, source.type): source.content for source in old.inputs}
    return reasons + [
        f"{source.repo} {'has changed' if (source.repo, source.type) in known else 'is new'}"
        for source in new.inputs
        if known.get((source.repo, source.type)) != source.content
    ]


def flatten(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings as `section.key` and value, as JSON has them."""
    for key, value in json.loads(json.dumps(settings, default=list)).items():
        if isinstance(value, dict):
            yield from flatten(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


if __name__ == "__main__":
    runpy.run_module("hub.trace", run_name="__main__")
