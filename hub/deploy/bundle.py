"""What the Space is made of: the app with what it imports and nothing else, requirements of its own, and its README.

The Space's metadata (title, colours, sdk and so on) are the front matter of this repository's README.md: one source.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hub.cards import space_card
from hub.errors import UserError
from hub.lineage import Input, Lineage

ROOT = Path(__file__).parents[2]
APP = "app.py"
README = "README.md"
TORCH = "torch>=2.8,<2.12"
"""What ZeroGPU has. On a CPU or a GPU of one's own the pipeline's newer one is as good."""
INDIRECT = ("accelerate",)
"""Imported by nobody here, but required by transformers."""
PROVIDED = ("gradio", "gradio_client")
"""Installed by the Space itself, in the version that its README names."""
OPTIONAL = ("bitsandbytes",)
"""For a precision that the Space does not choose by itself, and that says so where it is missing."""


def imported_modules(path: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def card_templates(path: Path) -> Iterator[str]:
    """The cards that a file renders by name: `dataset_card("votes", ...)` is one of hub/templates/votes.md.jinja."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id="model_card" | "dataset_card"), args=[ast.Constant(value=str(card)), *_]):
                yield card


def shipped(root: Path = ROOT) -> dict[str, Path]:
    """The app and every file of ours that it needs, by path in the Space.

    Style sheets and tables lie beside their code; a card rendered by name has its template in `hub/templates`.
    """
    found: dict[str, Path] = {}
    waiting = [root / APP]
    while waiting:
        path = waiting.pop()
        name = path.relative_to(root).as_posix()
        if name in found or not path.exists():
            continue
        found[name] = path
        found |= {
            beside.relative_to(root).as_posix(): beside
            for beside in path.parent.iterdir()
            if path.parent != root and beside.suffix in (".css", ".js", ".json", ".svg", ".html")
        }
        for card in card_templates(path):
            found[f"hub/templates/{card}.md.jinja"] = root / "hub" / "templates" / f"{card}.md.jinja"
        for module in imported_modules(path):
            parts = module.split(".")
            waiting += [root.joinpath(*parts).with_suffix(".py"), root.joinpath(*parts, "__init__.py")]
            waiting += [root.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts))]
    return dict(sorted(found.items()))


def third_party_imports(files: Mapping[str, Path]) -> set[str]:
    """The packages of others that these files import."""
    tops = {
        module.split(".")[0] for path in files.values() if path.suffix == ".py" for module in imported_modules(path)
    }
    ours = {name.split("/")[0].removesuffix(".py") for name in files}
    return tops - ours - set(sys.stdlib_module_names)


def pins(root: Path = ROOT) -> dict[str, str]:
    """The pipeline's requirements, `name==version` by import name."""
    lines = (line.split("#")[0].strip() for line in (root / "requirements.txt").read_text("utf-8").splitlines())
    return {line.split("==")[0].lower().replace("-", "_"): line for line in lines if "==" in line}


def requirements(files: Mapping[str, Path], root: Path = ROOT) -> str:
    """requirements.txt of the Space: the packages that its files import, as the pipeline pins them, torch in a range.

    Raises KeyError for a package that the pipeline does not pin.
    """
    known = {**pins(root), "torch": TORCH, "spaces": "spaces>=0.51"}
    wanted = sorted((third_party_imports(files) | set(INDIRECT)) - set(PROVIDED) - set(OPTIONAL))
    return "".join(f"{known[name]}\n" for name in wanted)


def front_matter(root: Path = ROOT) -> dict[str, Any]:
    """The YAML at the head of this repository's README.md: the Space's title, colours, sdk, Python and so on.

    Raises:
        UserError: there is no such README, as where only the package is installed.
    """
    import yaml

    path = root / README
    text = path.read_text("utf-8") if path.exists() else ""
    if not text.startswith("---\n"):
        raise UserError(f"no {path} with the Space's front matter; deploy from a clone of the repository")
    matter: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return matter


class PreloadedModel(NamedTuple):
    """A model that answers: Hub id, full commit, and the files that the Space's image is built with."""

    repo: str
    revision: str
    files: list[str]


def preloaded_model(source: Input) -> PreloadedModel:
    """The files of a model that loading it reads, whatever it is sharded into."""
    from huggingface_hub import HfApi

    files = HfApi().list_repo_files(source.repo, revision=source.revision)
    read = [file for file in files if file.endswith((".json", ".safetensors", ".jinja", ".txt")) and "/" not in file]
    return PreloadedModel(source.repo, source.revision, sorted(read))


def space_files(
    repo: str, variants: Mapping[str, PreloadedModel], datasets: list[str], lineage: Lineage
) -> dict[str, bytes | Path]:
    """Everything that the Space holds but its lineage, by path. Raises UserError as `front_matter` does."""
    metadata = front_matter() | {
        "models": [one.repo for one in variants.values()],
        "datasets": datasets,
        "preload_from_hub": [f"{one.repo} {','.join(one.files)} {one.revision}" for one in variants.values()],
    }
    found = shipped()
    card = space_card(metadata, repo=repo, variants=variants, lineage=lineage)
    return {**found, README: card.encode(), "requirements.txt": requirements(found).encode()}
