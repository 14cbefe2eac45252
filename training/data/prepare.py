"""Corpora to dataset: `python -m training.prepare --recipe training/recipes/starter.yaml data.sources=corpus.zip`.

Reads the films, slides a window over every conversation, splits by film and publishes in one commit: `pairs` (prompt
and completion, as TRL takes them), `conversations`, and `dropped`, the pairs that a rule kept out. `--dry-run` shows it
all, card included, and sends nothing.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chat.template import SYSTEM_PROMPT
from hub.cards import dataset_card
from hub.errors import UserError
from hub.lineage import Lineage
from hub.publish import preview_publish, publish
from hub.rights import UNKNOWN, Rights, combine_rights, inherited_rights
from training.recipe import Recipe
from training.recipe_schema import Data, Source
from training.stage import CustomStage, Task, command, log_progress, work_folder

if TYPE_CHECKING:
    from training.data.corpus.assemble import WeightedCorpus
    from training.data.corpus.sources import Located


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
        name: value for name, value in vars(data).items() if name != "language" or value
    }  # as before it was there
    settings = {"data": {**chosen, "sources": sources}, "system_prompt": SYSTEM_PROMPT}
    return Lineage("prepare", settings, tuple(one.input for one in found), facts=facts or {})


def dataset_files(data: Data, found: list[Located], repo: str, folder: Path) -> tuple[dict[str, bytes | Path], Lineage]:
    """Files of the dataset, the card among them, and the lineage with what was counted on the way."""
    from hub.parquet import write_tables
    from training.data import dataset_stats
    from training.data.corpus.assemble import WeightedCorpus
    from training.data.pairs import build_tables
    from training.data.splits import SPLIT_NAMES

    corpora = [
        WeightedCorpus(one.name, source.weight, one.read()) for one, source in zip(found, data.sources, strict=True)
    ]
    tables, dropped = build_tables(corpora, data)
    counts = Counter[str]()
    for named in corpora:
        counts.update(named.corpus.counts)
    counts.update(dropped)
    counts.update({f"{split} pairs": len(tables["pairs"][split]) for split in SPLIT_NAMES})
    for name, count in counts.items():
        log_progress("prepare", f"{name}: {count:,}")
    if empty := [split for split in SPLIT_NAMES if not len(tables["pairs"][split])]:
        raise UserError(f"no pair falls into {' and '.join(empty)}; give more films, or data.split_by=pair")
    balance, widest = {}, {}
    for name, shares in (("genre", dataset_stats.genres), ("decade", dataset_stats.decades)):
        balance[name] = shares(dataset_stats.films(tables["pairs"]))
        widest[name] = {
            "films": dataset_stats.widest(balance[name]),
            "pairs": dataset_stats.widest(shares(tables["pairs"])),
        }
        spelled = " and ".join(f"{points:.1f} points of the {unit}" for unit, points in widest[name].items())
        log_progress("prepare", f"shares by {name} differ between splits by at most {spelled}")
    files, metadata = write_tables(tables, folder)
    licences = dict(zip((one.name for one in found), map(source_rights, found, data.sources, corpora), strict=True))
    rights = combine_rights(licences.values())
    files["lengths.png"] = dataset_stats.draw_lengths(tables["pairs"], tables["conversations"], folder / "lengths.png")
    facts = {"counts": dict(counts), "context_turns": data.context_turns, "rights": rights.as_fact()}
    lineage = lineage_of(data, found, facts)
    card = dataset_card(
        "dialogue",
        {
            "pretty_name": "Repartee dialogue",
            "annotations_creators": ["no-annotation"],
            **metadata,
            **rights.license,
        },
        repo=repo,
        counts=counts,
        data=data,
        rows={config: {split: len(table) for split, table in splits.items()} for config, splits in tables.items()},
        balance=balance,
        widest=widest,
        lengths=dataset_stats.word_quantiles(tables["pairs"]),
        system_prompt=SYSTEM_PROMPT,
        licences=licences,
        citations=rights.citations,
        lineage=lineage,
    )
    files["README.md"] = card.encode()
    return files, lineage


def source_rights(found: Located, source: Source, named: WeightedCorpus) -> Rights:
    """The licence that the recipe gives a source, else the one its reader or its own lineage states; its citations."""
    stated = named.corpus.rights if named.corpus.rights != UNKNOWN else inherited_rights(found.input)
    return Rights({"license": source.license} if source.license else stated.license, stated.citations)


STAGE = CustomStage(prepare_dataset, preview_dataset)

if __name__ == "__main__":
    command(STAGE.run, __doc__, STAGE.preview)
