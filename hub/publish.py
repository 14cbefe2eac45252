"""One way of publishing: one atomic commit, nothing sent twice, nothing sent in silence."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hub.errors import NO_TOKEN, UserError
from hub.lineage import FILE, Lineage, file_hashes

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, HfApi

ATTEMPTS = 5
LONGEST_WAIT = 30.0  # seconds between two attempts, whatever Retry-After asks


def publish(
    repo: str,
    type: str,
    files: Mapping[str, bytes | Path],
    lineage: Lineage,
    message: str,
    private: bool = False,
) -> str:
    """Makes the repository hold exactly `files` and the lineage, in one commit; returns its full sha.

    Files that are no longer among them are deleted; unchanged content makes no commit. After a lost answer the Hub is
    asked whether the commit has landed before it is sent again, on the same parent as before.

    Raises:
        UserError: there is no token, it would be published, or somebody else committed meanwhile.
        HfHubHTTPError, httpx2.TransportError: the Hub refused, or was still in trouble after the last attempt.
    """
    import httpx2
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError

    if (token := get_token()) is None:
        raise UserError(NO_TOKEN)
    if token in message + lineage.to_json():
        raise UserError(f"{repo}: the Hub token stands in the commit message or in the settings; take it out")
    api = HfApi()
    content = {**files, FILE: lineage.to_json().encode()}
    additions = [CommitOperationAdd(path, _payload(value)) for path, value in content.items()]
    names = {addition.path_in_repo: _hashes(addition) for addition in additions}
    parent, sent = "", False
    for attempt in range(1, ATTEMPTS + 1):
        try:
            api.create_repo(repo, repo_type=type, private=private, exist_ok=True)
            present, main = _present(api, repo, type)
            changed = [add for add in additions if present.get(add.path_in_repo) not in names[add.path_in_repo]]
            gone = [CommitOperationDelete(path) for path in present if path not in content and path != ".gitattributes"]
            if not changed and not gone:
                print(f"{'published' if sent else 'unchanged'} {repo}@{main}", flush=True)
                return main
            parent = parent or main
            if main != parent:
                raise UserError(f"{repo} was changed by somebody else meanwhile; run again")
            sent = True
            commit = api.create_commit(
                repo, [*changed, *gone], commit_message=message, repo_type=type, parent_commit=parent
            )
            print(f"published {repo}@{commit.oid}", flush=True)
            return commit.oid
        except (HfHubHTTPError, httpx2.TransportError, RuntimeError) as error:
            status, retry_after = trouble(error)
            if status is None or attempt == ATTEMPTS:
                raise
        time.sleep(_seconds(retry_after, attempt))
    raise AssertionError("the last attempt returns or raises")


def trouble(error: BaseException | None) -> tuple[int | None, str | None]:
    """What stands behind an error of huggingface_hub: a status worth another look (412, 429, 5xx) and its Retry-After.

    A connection that broke counts as 503. 412 is worth a look because the commit that came first may be our own, whose
    answer was lost. (None, None) is for everything that another attempt would not mend.
    """
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    while error is not None:  # an upload's error comes wrapped in a RuntimeError
        if isinstance(error, HfHubHTTPError):
            status = error.response.status_code
            again = status in (412, 429) or status >= 500
            return (status, error.response.headers.get("Retry-After")) if again else (None, None)
        if isinstance(error, httpx2.TransportError):
            return 503, None
        error = error.__cause__
    return None, None


def _payload(value: bytes | Path) -> bytes | str:
    return str(value) if isinstance(value, Path) else value


def _seconds(retry_after: str | None, attempt: int) -> float:
    """How long to wait: what the Hub asked for, else 1, 2, 4... seconds; never longer than LONGEST_WAIT."""
    asked = float(retry_after) if retry_after and retry_after.isdigit() else 0.5 * 2**attempt
    return min(asked, LONGEST_WAIT)


def _present(api: HfApi, repo: str, type: str) -> tuple[dict[str, str], str]:
    """Returns the hash of every file of main (git blob id, or sha256 of a large one) and main's commit."""
    info = api.repo_info(repo, repo_type=type, files_metadata=True)
    return file_hashes(info), str(info.sha)


def _hashes(addition: CommitOperationAdd) -> tuple[str, str]:
    """The two names that the Hub may know a content by: its git blob id and its sha256."""
    blob = hashlib.sha1(b"blob %d\0" % addition.upload_info.size, usedforsecurity=False)
    with addition.as_file() as file:
        while chunk := file.read(1 << 20):
            blob.update(chunk)
    return blob.hexdigest(), addition.upload_info.sha256.hex()
