"""Publishing: one atomic commit with optimistic locking and retries, nothing sent twice, nothing sent in silence."""

from __future__ import annotations

import difflib
import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hub.errors import NO_TOKEN, UserError
from hub.lineage import LINEAGE_FILE, Lineage, file_hashes
from hub.write_access import require_private

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

ATTEMPTS = 5
LONGEST_WAIT = 30.0  # seconds between two attempts, whatever Retry-After asks


def publish(
    repo: str,
    type: str,
    files: Mapping[str, bytes | Path],
    lineage: Lineage,
    message: str,
    private: bool = False,
    **creation: Any,
) -> str:
    """Makes the repository hold exactly `files` and the lineage, in one commit; returns its full sha.

    Files that are no longer among them are deleted; unchanged content makes no commit. After a lost answer the Hub is
    asked whether the commit has landed before it is sent again. Where somebody else commits meanwhile, ours goes on top
    of theirs if they touched none of its paths.

    Args:
        repo: Hub id; made where it does not exist.
        type: model, dataset or space.
        files: content, or where it lies, by path in the repository.
        lineage: written beside them as lineage.json.
        message: of the commit; the first line is its title.
        private: how the repository is made; one that is public already is refused.
        creation: further arguments of `create_repo`, for a Space.

    Raises:
        UserError: there is no token, it would be published, the repository is public and `private` asks for another, or
            somebody else changed what we would change.
        HfHubHTTPError, httpx2.TransportError: the Hub refused, or was still in trouble after the last attempt.
    """
    import httpx2
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError

    if (token := get_token()) is None:
        raise UserError(NO_TOKEN)
    if token in message + lineage.to_json():
        raise UserError(f"{repo}: the Hub token stands in the commit message or in the settings; take it out")
    api, wanted = HfApi(), additions_of(files, lineage)
    plan: CommitPlan | None = None
    before: dict[str, str] = {}
    parent = ""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            api.create_repo(repo, repo_type=type, private=private, exist_ok=True, **creation)
            present, main = _present(api, repo, type, private)
            if plan is None:
                plan, before, parent = plan_commit(wanted, present), present, main
                if not plan.operations:
                    print(f"unchanged {repo}@{main}", flush=True)
                    return main
            elif main != parent:
                if plan.is_applied(present):  # it had landed, and its answer was lost
                    ours = _newest_with_title(api, repo, type, message) or main
                    print(f"published {repo}@{ours}", flush=True)
                    return ours
                touched = {path for path in {**before, **present} if before.get(path) != present.get(path)}
                if theirs := plan.paths & touched:
                    raise UserError(
                        f"{repo} was changed by somebody else meanwhile ({', '.join(sorted(theirs))}); run again"
                    )
                before, parent = present, main
            commit = api.create_commit(
                repo, plan.operations, commit_message=message, repo_type=type, parent_commit=parent
            )
            print(f"published {repo}@{commit.oid}", flush=True)
            return commit.oid
        except (HfHubHTTPError, httpx2.TransportError, RuntimeError) as error:
            status, retry_after = retry_status(error)
            if status is None or attempt == ATTEMPTS:
                raise
        time.sleep(_seconds(retry_after, attempt))
    raise AssertionError("the last attempt returns or raises")


class FileChange(NamedTuple):
    """What a commit does to one file."""

    path: str
    size: int  # bytes; of what is deleted 0
    state: str  # new, changed, unchanged or deleted


@dataclass
class CommitPlan:
    """What a commit does to a repository."""

    changes: list[FileChange]
    operations: list[CommitOperationAdd | CommitOperationDelete]
    hashes: dict[str, tuple[str, str]]
    """By path, the two names that the Hub may know the new content by."""

    @property
    def paths(self) -> set[str]:
        """What it touches."""
        return {change.path for change in self.changes if change.state != "unchanged"}

    def is_applied(self, present: Mapping[str, str]) -> bool:
        """Whether a repository with these files, by path and hash, is as the commit leaves it."""
        return all(
            path not in present if path not in self.hashes else present.get(path) in self.hashes[path]
            for path in self.paths
        )


def additions_of(files: Mapping[str, bytes | Path], lineage: Lineage) -> list[CommitOperationAdd]:
    """The files and their lineage.json as operations of a commit."""
    from huggingface_hub import CommitOperationAdd

    content = {**files, LINEAGE_FILE: lineage.to_json().encode()}
    return [
        CommitOperationAdd(path, str(value) if isinstance(value, Path) else value) for path, value in content.items()
    ]


def plan_commit(additions: list[CommitOperationAdd], present: Mapping[str, str]) -> CommitPlan:
    """What makes a repository of the files `present`, by path and hash, hold exactly the additions."""
    from huggingface_hub import CommitOperationDelete

    hashes = {addition.path_in_repo: _hashes(addition) for addition in additions}
    changes, operations = [], list[Any]()
    for addition in additions:
        path = addition.path_in_repo
        state = "new" if path not in present else "unchanged" if present[path] in hashes[path] else "changed"
        changes.append(FileChange(path, addition.upload_info.size, state))
        if state != "unchanged":
            operations.append(addition)
    for path in present:
        if path not in hashes and path != ".gitattributes":
            changes.append(FileChange(path, 0, "deleted"))
            operations.append(CommitOperationDelete(path))
    return CommitPlan(changes, operations, hashes)


def preview_publish(
    repo: str, type: str, files: Mapping[str, bytes | Path], lineage: Lineage, private: bool = False
) -> None:
    """Prints what `publish` would do, every file with its size and the card's changes, and sends nothing.

    Raises UserError as `publish` does where the repository is public and `private` asks for another.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        present, main = _present(HfApi(), repo, type, private)
    except RepositoryNotFoundError:
        present, main = {}, "not there yet"
    plan = plan_commit(additions_of(files, lineage), present)
    verb = "would be one commit on" if plan.operations else "holds all of it already:"
    print(f"{type} {repo}: {verb} {main}")
    for path, size, state in plan.changes:
        print(f"  {state:<9} {path}" + (f" ({size:,} bytes)" if state != "deleted" else ""))
    if "README.md" in plan.paths and "README.md" in files:
        print("\n".join(card_diff(repo, type, files["README.md"], "README.md" in present)), flush=True)


def card_diff(repo: str, type: str, card: bytes | Path, there: bool) -> Iterator[str]:
    """The unified diff from the published card to a new one."""
    from huggingface_hub import hf_hub_download

    old = Path(hf_hub_download(repo, "README.md", repo_type=type)).read_text("utf-8") if there else ""
    new = card.read_text("utf-8") if isinstance(card, Path) else card.decode()
    return difflib.unified_diff(
        old.splitlines(), new.splitlines(), "README.md (published)", "README.md (new)", lineterm="", n=1
    )


def retry_status(error: BaseException | None) -> tuple[int | None, str | None]:
    """What stands behind an error of huggingface_hub: a status worth another look (412, 429, 5xx) and its Retry-After.

    A connection that broke counts as 503. 412 is worth a look because the commit that came first may be our own, whose
    answer was lost. (None, None) is for everything that another attempt would not mend.
    """
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    while error is not None:  # an upload's error comes wrapped in a RuntimeError
        if isinstance(error, HfHubHTTPError):
            status = error.response.status_code
            again = status in (412, 429) or (status >= 500 and status != 507)  # a full disk stays full
            return (status, error.response.headers.get("Retry-After")) if again else (None, None)
        if isinstance(error, httpx2.TransportError):
            return 503, None
        error = error.__cause__
    return None, None


def _seconds(retry_after: str | None, attempt: int) -> float:
    """How long to wait: what the Hub asked for, else 1, 2, 4... seconds; never longer than LONGEST_WAIT."""
    seconds = float(retry_after) if retry_after and retry_after.isdigit() else 0.5 * 2**attempt
    return min(seconds, LONGEST_WAIT)


def _present(api: HfApi, repo: str, type: str, private: bool) -> tuple[dict[str, str], str]:
    """Returns the hash of every file of main (git blob id, or sha256 of a large one) and main's commit."""
    info = api.repo_info(repo, repo_type=type, files_metadata=True)
    require_private(info, repo, type, private)
    return file_hashes(info), str(info.sha)


def _newest_with_title(api: HfApi, repo: str, type: str, message: str) -> str | None:
    """The newest commit of main with this message."""
    commits = api.list_repo_commits(repo, repo_type=type)
    return next((commit.commit_id for commit in commits if commit.title == message.split("\n")[0]), None)


def _hashes(addition: CommitOperationAdd) -> tuple[str, str]:
    """The two names that the Hub may know a content by: its git blob id and its sha256."""
    blob = hashlib.sha1(b"blob %d\0" % addition.upload_info.size, usedforsecurity=False)
    with addition.as_file() as file:
        while chunk := file.read(1 << 20):
            blob.update(chunk)
    return blob.hexdigest(), addition.upload_info.sha256.hex()
