"""Lineage tracing: `python -m hub.lineage NAMESPACE/NAME [--verify]` prints the inputs, down to the corpus."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from hub.errors import UserError, one_line_errors
from hub.lineage import LINEAGE_FILE, fetch_lineage


def lineage_tree(repo: str, type: str, revision: str | None = None, depth: int = 0) -> Iterator[str]:
    """Yields one line for an artifact and for everything below it.

    Raises:
        UserError: the artifact itself is not published. An input may be: a base model has no lineage.
    """
    found = fetch_lineage(repo, type, revision)
    if found is None and depth == 0:
        raise UserError(f"no {type} {repo} with a {LINEAGE_FILE} is published; check the name and --type")
    stage = f"  ({found[1].stage})" if found else ""
    sha = found[0] if found else str(revision)
    yield f"{'  ' * depth}{type} {repo}@{sha}{stage}  {commit_url(repo, type, sha)}"
    for source in found[1].inputs if found else ():
        if source.type == "file":
            yield f"{'  ' * (depth + 1)}file {source.repo} sha256 {source.revision}"
        else:
            yield from lineage_tree(source.repo, source.type, source.revision, depth + 1)


def commit_url(repo: str, type: str, sha: str) -> str:
    """Where a person sees a repository at a commit."""
    from huggingface_hub.constants import ENDPOINT

    return f"{ENDPOINT}/{'' if type == 'model' else type + 's/'}{repo}/tree/{sha}"


def find_repo(name: str) -> tuple[str, str]:
    """The Hub id and type of what a person calls `name`: with or without namespace, whatever its type.

    Raises:
        UserError: there is nothing of that name with a lineage.
    """
    from huggingface_hub import whoami

    repo = name if "/" in name else f"{whoami()['name']}/{name}"
    for type in ("model", "dataset", "space"):
        if fetch_lineage(repo, type):
            return repo, type
    raise UserError(
        f"no model, dataset or Space {repo} with a {LINEAGE_FILE} is published; check the name and HF_TOKEN"
    )


def main() -> None:
    """The command line of `python -m hub.lineage`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repo", help="with its namespace, or in the token's own")
    parser.add_argument("--type", choices=["model", "dataset", "space"], help="default: the first that there is")
    parser.add_argument("--revision", help="branch, tag or full commit (default: main)")
    parser.add_argument("--verify", action="store_true", help="fetch everything and check every hash")
    arguments = parser.parse_args()
    with one_line_errors():
        repo, type = (arguments.repo, arguments.type) if arguments.type else find_repo(arguments.repo)
        print("\n".join(lineage_tree(repo, type, arguments.revision)), flush=True)
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
