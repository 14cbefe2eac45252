"""Corpora to dataset: `python -m training.prepare --recipe training/recipes/starter.yaml data.sources=corpus.zip`.

Reads the films, slides a window over every conversation, splits by film and publishes in one commit: `pairs` (prompt
and completion, as TRL takes them), `conversations`, and `dropped`, the pairs that a rule kept out. `--dry-run` shows it
all, card included, and sends nothing. Memory does not grow with the corpus; killed, it carries on where it was.
"""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chat.template import SYSTEM_PROMPT
from hub.cards import dataset_card
from hub.errors import UserError
from hub.lineage import Lineage
from hub.publish import preview_publish, publish
from hub.rights import UNKNOWN, Rights, combine_rights, inherited_rights, rights_from_fact
from training.recipe import Recipe
from training.recipe_schema import Data, Source
from training.stage import CustomStage, Task, command, log_progress, read_result, work_folder, write_result

if TYPE_CHECKING:
    from hub.parquet import Shard
    from training.data.batches import WeightedSource
    from training.data.corpus.sources import Located
    from training.data.pairs import Sizes


def prepare_dataset(recipe: Recipe, work: Path) -> str:
    """Publishes the dialogue dataset where it is not up to date, and returns its full commit sha."""
    found = located(recipe.data, work)
    made = Task(recipe.names.dialogue, "dataset", lineage_of(recipe.data, found))
    if revision := made.done(recipe.hub.private):
        return revision
    files, lineage = dataset_files(recipe.data, found, made.repo, work_folder(work, made.lineage))
    return publish(made.repo, "dataset", files, lineage, "Dialogue pairs and conversations", private=recipe.hub.private)


def preview_dataset(recipe: Recipe, work: Path) -> None:
    """Makes all that `prepare_dataset` would publish, shows what publishing it would do, and sends nothing."""
    found = located(recipe.data, work)
    folder, repo = work_folder(work, lineage_of(recipe.data, found)), recipe.names.dialogue
    files, lineage = dataset_files(recipe.data, found, repo, folder)
    for path, content in files.items():
        if isinstance(content, bytes):
            (folder / path).write_bytes(content)
    log_progress("prepare", f"made, to be looked at, in {folder}")
    preview_publish(repo, "dataset", files, lineage, recipe.hub.private)


def located(data: Data, work: Path) -> list[Located]:
    """Finds every source. Raises UserError where one is not there, or where two have one name."""
    from training.data.corpus.sources import locate

    found = [locate(source, work, data.language) for source in data.sources]
    if twice := [name for name, times in Counter(one.name for one in found).items() if times > 1]:
        raise UserError(f"two sources are named {twice[0]}; give each a name of its own in data.sources")
    return found


def lineage_of(data: Data, found: list[Located], facts: dict[str, Any] | None = None) -> Lineage:
    """Settings and pinned sources; where a source lies on this machine is no part of it."""
    sources = [
        {"name": one.name, "weight": source.weight, "config": source.config, "license": source.license}
        | source.reading_settings()
        for one, source in zip(found, data.sources, strict=True)
    ]
    chosen = {
        name: value for name, value in vars(data).items() if name not in ("language", "near_duplicates") or value
    }  # as before it was there
    settings = {"data": {**chosen, "sources": sources}, "system_prompt": SYSTEM_PROMPT}
    return Lineage("prepare", settings, tuple(one.input for one in found), facts=facts or {})


def dataset_files(
    data: Data, found: list[Located], repo: str, folder: Path, sizes: Sizes | None = None
) -> tuple[dict[str, bytes | Path], Lineage]:
    """Files of the dataset, the card among them, and the lineage with what was counted on the way.

    Args:
        data: of the recipe.
        found: its sources.
        repo: where it will be published.
        folder: for the tables, and for what an earlier start left there.
        sizes: of batches and shards; None takes the usual ones.
    """
    from training.data.dataset_stats import draw_lengths, lengths_from_lists

    files, made = tables_made(data, found, folder, sizes)
    shards = shards_made(made)
    rows = {
        config: {split: sum(shard.rows for shard in of_split) for split, of_split in splits.items()}
        for config, splits in shards.items()
    }
    counts = all_counts(made, rows)
    log_made(counts, rows, made["widest"])
    files["lengths.png"] = draw_lengths(lengths_from_lists(made["lengths"]), folder / "lengths.png")
    stated = [rights_from_fact(source["rights"]) for source in made["sources"]]
    licences = dict(zip((one.name for one in found), map(source_rights, found, data.sources, stated), strict=True))
    rights = combine_rights(licences.values())
    facts = {"counts": dict(counts), "context_turns": data.context_turns, "rights": rights.as_fact()}
    lineage = lineage_of(data, found, facts)
    files["README.md"] = card(
        data, made, shards, folder, repo=repo, rows=rows, counts=counts, licences=licences, lineage=lineage
    )
    return files, lineage


def card(
    data: Data, made: dict[str, Any], shards: dict[str, dict[str, list[Shard]]], folder: Path, **values: Any
) -> bytes:
    """README.md of the dataset.

    Args:
        data: of the recipe.
        made: as `tables_made` returns it.
        shards: as `shards_made` has them.
        folder: where the tables lie.
        values: `repo`, `rows`, `counts`, `licences` and `lineage`, as the template takes them.
    """
    from hub.parquet import card_metadata
    from training.data.dataset_stats import lengths_from_lists

    rights = combine_rights(values["licences"].values())
    about = {
        "pretty_name": "Repartee dialogue",
        "annotations_creators": ["no-annotation"],
        **card_metadata(shards, folder),
        **rights.license,
    }
    return dataset_card(
        "dialogue",
        about,
        data=data,
        example=shards["pairs"]["test"][0].path,
        balance=made["balance"],
        widest=made["widest"],
        lengths=lengths_from_lists(made["lengths"]).quantiles(),
        system_prompt=SYSTEM_PROMPT,
        citations=rights.citations,
        **values,
    ).encode()


def log_made(counts: Counter[str], rows: dict[str, dict[str, int]], widest: dict[str, dict[str, float]]) -> None:
    """Says what was counted. Raises UserError where a split has no pair."""
    for name, count in counts.items():
        log_progress("prepare", f"{name}: {count:,}")
    if empty := [split for split, count in rows["pairs"].items() if not count]:
        raise UserError(f"no pair falls into {' and '.join(empty)}; give more films, or data.split_by=pair")
    for name, points in widest.items():
        spelled = " and ".join(f"{width:.1f} points of the {unit}" for unit, width in points.items())
        log_progress("prepare", f"shares by {name} differ between splits by at most {spelled}")


def shards_made(made: dict[str, Any]) -> dict[str, dict[str, list[Shard]]]:
    """The shards by config and split, of what `build_dataset` returned and a file of JSON kept."""
    from hub.parquet import Shard

    return {
        config: {split: [Shard(*shard) for shard in of_split] for split, of_split in splits.items()}
        for config, splits in made["shards"].items()
    }


def tables_made(
    data: Data, found: list[Located], folder: Path, sizes: Sizes | None = None
) -> tuple[dict[str, bytes | Path], dict[str, Any]]:
    """Makes the tables, or takes those that an earlier start made whole: files, and what `build_dataset` returns."""
    from training.data.pairs import FORM, SIZES, build_dataset

    if not (made := made_earlier(folder)):
        facts = {"form": FORM, **build_dataset(weighted(found, data), data, folder, sizes or SIZES)}
        paths = [shard.path for splits in facts["shards"].values() for of in splits.values() for shard in of]
        write_result(folder.with_suffix(".json"), {path: folder / path for path in paths}, facts)
        made = made_earlier(folder)
    assert made
    shutil.rmtree(folder / "batches", ignore_errors=True)
    return made


def made_earlier(folder: Path) -> tuple[dict[str, bytes | Path], dict[str, Any]] | None:
    """What `tables_made` has left whole, as it returns it; None where it is not, or has another form."""
    from training.data.pairs import FORM

    made = read_result(folder.with_suffix(".json"))
    return (dict(made[0]), made[1]) if made and made[1]["form"] == FORM else None


def weighted(found: list[Located], data: Data) -> list[WeightedSource]:
    """The sources as they were found, weighted as the recipe says."""
    from training.data.batches import WeightedSource

    return [WeightedSource(one.name, of.weight, one.batches) for one, of in zip(found, data.sources, strict=True)]


def all_counts(made: dict[str, Any], rows: dict[str, dict[str, int]]) -> Counter[str]:
    """What was read, cleaned, dropped and written, of all sources together."""
    counts = Counter[str]()
    for source in made["sources"]:
        counts.update(source["counts"])
    counts.update(made["dropped"])
    counts.update({f"{split} pairs": count for split, count in rows["pairs"].items()})
    return counts


def source_rights(found: Located, source: Source, read: Rights) -> Rights:
    """The licence that the recipe gives a source, else the one its reader or its own lineage states; its citations.

    Args:
        found: the source.
        source: of the recipe.
        read: what its reader states.
    """
    stated = read if read != UNKNOWN else inherited_rights(found.input)
    return Rights({"license": source.license} if source.license else stated.license, stated.citations)


STAGE = CustomStage(prepare_dataset, preview_dataset)

if __name__ == "__main__":
    command(STAGE.run, __doc__, STAGE.preview)
