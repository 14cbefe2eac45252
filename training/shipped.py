"""Shipped adapters onto a local Hub: `python -m training.shipped --recipe training/recipes/smollm2-135m.yaml`.

For `make page`: the base is published as `training.base` does it, the adapters of `training/adapters/<size>/` on it,
each with the lineage that it was trained by and the base as it is there, so that later stages carry on from them. A
second start finds all of it there.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from hub.errors import UserError
from hub.lineage import LINEAGE_FILE, Lineage, pin
from hub.publish import publish
from training.base.origin import find_origin
from training.base.publish import publish_base
from training.recipe import Recipe
from training.ship import ADAPTERS, RECORD, lineage_path
from training.stage import command, hub_base

ADAPTER_CONFIG = "adapter_config.json"


def publish_shipped(recipe: Recipe, work: Path, folder: Path = ADAPTERS) -> str:
    """Publishes the base and a size's shipped adapters; returns the base's full commit sha.

    Raises:
        UserError: there are none of that size, the Hub has the recipe's base itself, the recipe's base is made of other
            weights than theirs, or those cannot be had.
    """
    place = folder / recipe.model.size
    if not (place / RECORD).exists():
        there = sorted(path.parent.name for path in folder.glob(f"*/{RECORD}"))
        raise UserError(
            f"no adapters of {recipe.model.size} are shipped ({', '.join(there) or 'none at all'} in {folder}); train "
            "them and run training.ship, or open the page by make demo"
        )
    if found := hub_base(recipe.model):
        raise UserError(
            f"this Hub has {found.repo} itself, and the shipped adapters stand on a file of it: use a Hub of their "
            "own, as make page does: python -m hub.local run --data .repartee/page-hub -- python -m training.shipped"
        )
    record = json.loads((place / RECORD).read_text("utf-8"))
    lineages = {kind: Lineage.from_json((place / kind / LINEAGE_FILE).read_text("utf-8")) for kind in record}
    weights = find_origin(recipe.model, work / "downloads").input
    for kind, lineage in lineages.items():
        known = Lineage.from_json((place / lineage_path(lineage.inputs[0])).read_text("utf-8")).inputs
        if [source.content for source in known] != [weights.content]:
            raise UserError(
                f"the shipped {kind} adapter stands on weights of sha256 {known[0].content}, and {recipe.model.base} "
                f"in this recipe has {weights.content}; take the recipe of its commit, or ship anew"
            )
    base = publish_base(recipe, work)
    here = pin(recipe.names.base, "model", base)  # of the same weights, in whatever files they are published today
    for kind, recorded in lineages.items():
        lineage = replace(recorded, inputs=(here, *recorded.inputs[1:]))
        files = adapter_files(place / kind, record[kind]["of_base"], recipe.names.base, base)
        publish(recipe.names.adapter(kind), "model", files, lineage, "Shipped adapter", private=recipe.hub.private)
    return base


def adapter_files(folder: Path, of_base: list[str], base: str, revision: str) -> dict[str, bytes | Path]:
    """Files of a shipped adapter by path in its repository, those that it shares with the base again among them.

    Its config names the base as published here; the commit that it was trained on, of another Hub, is in its lineage.

    Args:
        folder: of the adapter.
        of_base: paths that the base has.
        base: Hub id of the base.
        revision: its full commit sha.
    """
    from huggingface_hub import hf_hub_download

    files: dict[str, Any] = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    files |= {path: Path(hf_hub_download(base, path, revision=revision)) for path in of_base}
    del files[LINEAGE_FILE]  # which `publish` writes
    config = json.loads(files[ADAPTER_CONFIG].read_text("utf-8"))
    config |= {"base_model_name_or_path": base, "revision": revision}
    return {**files, ADAPTER_CONFIG: json.dumps(config, indent=2).encode()}


if __name__ == "__main__":
    command(publish_shipped, __doc__)
