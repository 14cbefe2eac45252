"""Everything that a local Hub keeps and a pipeline leaves behind, as bytes: what a search for secrets looks through."""

from collections.abc import Iterator
from pathlib import Path

from dulwich.repo import Repo


def everything(hub: Path, *folders: Path, kept_secrets: bool = False) -> Iterator[tuple[str, bytes]]:
    """Each object of each repository (git packs them, so files alone would hide their content), and each other file.

    Leaves out the two files that are there to keep secrets, unless `kept_secrets`: tokens.json and space.json.
    """
    for repository in hub.glob("*s/*/*.git"):
        with Repo(str(repository)) as git:
            for sha in git.object_store:
                yield f"{repository.name} {sha.decode()}", git.object_store[sha].as_raw_string()
    for folder in (hub, *folders):
        for path in folder.rglob("*"):
            keeps = path.name in ("tokens.json", "space.json")
            if path.is_file() and "objects" not in path.parts and (kept_secrets or not keeps):
                yield str(path), path.read_bytes()
