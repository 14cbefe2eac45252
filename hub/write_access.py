"""Write access: whether a repository may take what is to be published, asked before hours of work go into it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hub.errors import NO_TOKEN, UserError
from hub.names import HUB

if TYPE_CHECKING:
    from huggingface_hub import HfApi


def require_write_access(repo: str, type: str, private: bool = False) -> None:
    """Write access of the token to a repository, there already or to be made.

    Raises:
        UserError: there is no token, it only reads, the namespace is somebody else's, or the repository is public and
            `private` asks for a private one.
        HfHubHTTPError: the Hub refuses, or is in trouble.
    """
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import RepositoryNotFoundError

    if get_token() is None:
        raise UserError(NO_TOKEN)
    api = HfApi()
    try:
        require_private(api.repo_info(repo, repo_type=type), repo, type, private)
    except RepositoryNotFoundError:
        _require_namespace(api, repo, type)
    else:
        api.auth_check(repo, repo_type=type, write=True)


def require_private(info: Any, repo: str, type: str, private: bool) -> None:
    """Visibility of a repository that is there: making it private is its owner's decision, not a side effect.

    Args:
        info: of the repository, as `repo_info` gives it.
        repo: Hub id.
        type: model, dataset or space.
        private: whether a private one was asked for.

    Raises:
        UserError: it was, and the repository is public.
    """
    if private and not info.private:
        raise UserError(
            f"{type} {repo} is public, and private was asked for; make it private first: "
            f'HfApi().update_repo_settings("{repo}", repo_type="{type}", private=True)'
        )


def require_no_private_source(sources: Iterable[str], repo: str, type: str, private: bool = False) -> None:
    """What is made of private datasets goes into no public repository, unless their owner makes them public first.

    Args:
        sources: Hub ids of the datasets.
        repo: Hub id of what is published, there already or to be made.
        type: model, dataset or space.
        private: how it would be made.

    Raises:
        UserError: a source is private, and the repository is not.
    """
    hidden = [source for source in sources if is_private(source, "dataset")]
    if hidden and not is_private(repo, type) and (not private or _exists(repo, type)):
        raise UserError(
            f"{hidden[0]} is private, and what is made of it would go into {type} {repo}, which is public; make "
            f'that one private: HfApi().update_repo_settings("{repo}", repo_type="{type}", private=True), or with '
            "--private where it is not there yet; or make the source public"
        )


def _exists(repo: str, type: str) -> bool:
    from huggingface_hub import HfApi

    return HfApi().repo_exists(repo, repo_type=type)


def is_private(repo: str, type: str) -> bool:
    """Whether there is such a repository, and it is private."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return bool(HfApi().repo_info(repo, repo_type=type).private)
    except RepositoryNotFoundError:
        return False


def _require_namespace(api: HfApi, repo: str, type: str) -> None:
    """What `whoami` tells of a token; of a fine-grained one it does not tell all, and then the Hub says it later."""
    from huggingface_hub import constants

    who = api.whoami()
    role = who.get("auth", {}).get("accessToken", {}).get("role")
    if role == "read":
        raise UserError(f"{type} {repo} is to be made, and the token of {who['name']} only reads; use a write token")
    namespaces = [who["name"], *(org["name"] for org in who.get("orgs", []))]
    if constants.ENDPOINT == HUB and role == "write" and repo.split("/")[0] not in namespaces:
        raise UserError(
            f"{type} {repo} is to be made, and the token may write to {', '.join(namespaces)} alone; "
            "use another namespace or another token"
        )
