"""Trained adapters into this repository: `python -m training.ship --recipe training/recipes/smollm2-135m.yaml`.

Takes the published SFT adapter, and the DPO adapter where there is one, at their commits of the moment, and writes them
to `training/adapters/<size>/` with every lineage down to the corpus, without the files that the base has too. `make
page` publishes them on a Hub of its own (`training.shipped`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from hub.errors import UserError
from hub.lineage import Input, Lineage, fetch_lineage, file_hashes, unchanged
from training.base.origin import find_origin
from training.recipe import Recipe
from training.stage import command, log_progress

ADAPTERS = Path(__file__).with_name("adapters")
RECORD = "shipped.json"
"""Of each adapter, where it was published, and which of its files are the base's."""
KINDS = ("sft", "dpo")
MAX_BYTES = 25_000_000
"""All that a repository holds of adapters, of every size of model together."""


def ship(recipe: Recipe, work: Path, folder: Path = ADAPTERS) -> str:
    """Writes a recipe's published adapters to a folder of their size below `folder`; returns that folder.

    Raises:
        UserError: no SFT adapter is published, an adapter does not stand on the recipe's own base or on the other's
            state of today, or the folder would be larger than MAX_BYTES.
    """
    made = shippable(recipe, work)
    target, draft = folder / recipe.model.size, folder / f".{recipe.model.size}.new"
    shutil.rmtree(draft, ignore_errors=True)
    record = {}
    for kind, (source, lineage) in made.items():
        base = lineage.inputs[0]
        of_base = download(source, base, draft / kind)
        record[kind] = {"repo": source.repo, "revision": source.revision, "of_base": of_base}
        for below, its in lineages_below(lineage):
            write_text(draft / lineage_path(below), its.to_json())
    write_text(draft / RECORD, json.dumps(record, indent=2) + "\n")
    others = [path for path in folder.glob("*") if path not in (target, draft)]
    total = sum(map(bytes_of, [draft, *others]))
    if total > MAX_BYTES:
        shutil.rmtree(draft)
        raise UserError(
            f"{folder} would hold {total / 1e6:.1f} MB, of {MAX_BYTES / 1e6:.0f} MB at most; "
            "train with a smaller model.lora.r, or delete another size's folder"
        )
    shutil.rmtree(target, ignore_errors=True)
    draft.rename(target)
    for kind, entry in record.items():
        log_progress("ship", f"{entry['repo']}@{entry['revision']} -> {target / kind}")
    log_progress("ship", f"{folder}: {total / 1e6:.1f} MB of {MAX_BYTES / 1e6:.0f}; commit it")
    return str(target)


def shippable(recipe: Recipe, work: Path) -> dict[str, tuple[Input, Lineage]]:
    """Published adapters by kind, with their lineages. Raises UserError as `ship` does."""
    names, weights = recipe.names, find_origin(recipe.model, work / "downloads").input
    made = {}
    for kind in KINDS:
        if found := fetch_lineage(repo := names.adapter(kind), "model"):
            sha, lineage = found
            made[kind] = Input(repo, "model", sha, ""), lineage
            require_base(repo, lineage.inputs[0], weights)
    if "sft" not in made:
        raise UserError(f"no model {names.adapter('sft')} with a lineage is published; train it before it is shipped")
    sft, lineage = made["sft"]
    if "dpo" in made:
        dpo, its = made["dpo"]
        before = next((source for source in its.inputs if source.repo == sft.repo), None)
        if not before or not unchanged(before, sft.revision) or its.inputs[0].content != lineage.inputs[0].content:
            raise UserError(f"{dpo.repo} was not trained on {sft.repo} as it is now; run training.dpo again")
    return made


def require_base(repo: str, base: Input, weights: Input) -> None:
    """Raises UserError unless an adapter's base was published here from the recipe's weights, known by their sha256."""
    found = fetch_lineage(base.repo, base.type, base.revision)
    if found is None:
        raise UserError(
            f"{repo} stands on {base.repo}, which has no lineage; shipped is what stands on a base that training.base "
            "has made of a file, and that make page can make again"
        )
    known = [source.content for source in found[1].inputs]
    if known != [weights.content]:
        raise UserError(
            f"{repo} stands on weights of sha256 {', '.join(known)}, and the recipe's have {weights.content}; give the "
            "recipe and overrides that it was trained by"
        )


def download(source: Input, base: Input, folder: Path) -> list[str]:
    """Downloads an adapter's files at its commit; returns the paths that were left out, because the base has the same.

    Args:
        source: the adapter.
        base: what it stands on.
        folder: where the files go.
    """
    from huggingface_hub import HfApi, hf_hub_download

    hashes, its = (
        file_hashes(HfApi().model_info(one.repo, revision=one.revision, files_metadata=True)) for one in (source, base)
    )
    wanted = [path for path in hashes if path != ".gitattributes"]
    same = [path for path in wanted if its.get(path) == hashes[path]]
    for path in set(wanted) - set(same):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(hf_hub_download(source.repo, path, revision=source.revision), folder / path)
    return sorted(same)


def lineages_below(lineage: Lineage) -> Iterator[tuple[Input, Lineage]]:
    """Every repository that an artifact was made from, with its lineage, down to files that never were on a Hub."""
    for source in lineage.inputs:
        if source.type != "file" and (found := fetch_lineage(source.repo, source.type, source.revision)):
            yield source, found[1]
            yield from lineages_below(found[1])


def lineage_path(source: Input) -> str:
    """Where the lineage of an adapter's input is kept, beside the adapters."""
    return f"lineage/{source.repo.split('/')[-1]}@{source.revision[:12]}.json"


def write_text(path: Path, text: str) -> None:
    """Writes a file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def bytes_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    return sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())


if __name__ == "__main__":
    command(ship, __doc__)
