"""Releases the family: `python -m hub.release --namespace NAMESPACE --size starter [--dry-run]`.

Every repository of a model size gets the same tag `vN` at the commit where it is now, and the collection "Repartee"
holds them all. Started again after a kill, it completes the release that it had begun, unless what has its tag has
moved since: then it makes the next one. With nothing new it changes nothing.
"""

from __future__ import annotations

import argparse
import re
from typing import NamedTuple

from hub.errors import UserError, one_line_errors
from hub.names import Names

COLLECTION = "Repartee"


class Member(NamedTuple):
    """A published repository of the family, and its tags."""

    repo: str
    type: str
    head: str
    """Full commit sha of main."""
    tags: dict[str, str]
    """Full commit sha by tag."""


def family(names: Names) -> list[Member]:
    """What is published of a size, in the order in which it is made.

    Raises:
        UserError: nothing is.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    api, found = HfApi(), []
    for repo, type in names.all():
        try:
            head = str(api.repo_info(repo, repo_type=type).sha)
        except RepositoryNotFoundError:
            continue
        tags = {tag.name: tag.target_commit for tag in api.list_repo_refs(repo, repo_type=type).tags}
        found.append(Member(repo, type, head, tags))
    if not found:
        raise UserError(f"nothing of {names.namespace}'s size {names.size} is published; run the pipeline first")
    return found


def next_tag(members: list[Member]) -> tuple[str, list[Member]]:
    """The release to make and the members that still lack it.

    The newest release is not complete while all its tags stand at their repository's head and some repository has none:
    then it is the one. It is the next number where some head has moved since.
    """
    numbers = [int(name[1:]) for member in members for name in member.tags if re.fullmatch(r"v[1-9]\d*", name)]
    if not numbers:
        return "v1", members
    newest = f"v{max(numbers)}"
    if any(member.tags.get(newest, member.head) != member.head for member in members):
        return f"v{max(numbers) + 1}", members
    return newest, [member for member in members if newest not in member.tags]


def release(names: Names, dry_run: bool = False, private: bool = False) -> str:
    """Tags what lacks the tag and completes the collection; returns the tag.

    Args:
        names: of the family.
        dry_run: print what would be tagged, and change nothing.
        private: make the collection private, where it is not there yet.

    Raises:
        UserError: nothing is published, or the collection is public and `private` asks for another.
    """
    from huggingface_hub import HfApi

    members = family(names)
    tag, lacking = next_tag(members)
    for member in members:
        state = "to be tagged" if member in lacking else "has it"
        print(f"{tag} {member.type} {member.repo}@{member.head}: {state}", flush=True)
    if dry_run:
        return tag
    api = HfApi()
    collection = api.create_collection(
        COLLECTION,
        namespace=names.namespace,
        description="A small model that answers a line of film dialogue: its data, adapters, judgements and page.",
        private=private,
        exists_ok=True,
    )
    if private and not collection.private:
        raise UserError(
            f"the collection {collection.slug} is public, and private was asked for; make it private first: "
            f'HfApi().update_collection_metadata("{collection.slug}", private=True)'
        )
    for member in lacking:
        api.create_tag(member.repo, tag=tag, revision=member.head, repo_type=member.type, exist_ok=True)
    for member in members:
        api.add_collection_item(collection.slug, member.repo, member.type, exists_ok=True)  # type: ignore[arg-type]
    print(f"released {tag}: {len(members)} repositories, collection {collection.slug}", flush=True)
    return tag


def main() -> None:
    """The command line of `python -m hub.release`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--size", default="starter", help="of the models: part of their names (default: %(default)s)")
    parser.add_argument("--private", action="store_true", help="make the collection private")
    parser.add_argument("--dry-run", action="store_true", help="print what would be tagged, and change nothing")
    arguments = parser.parse_args()
    with one_line_errors():
        release(Names(arguments.namespace, arguments.size), arguments.dry_run, arguments.private)


if __name__ == "__main__":
    main()
