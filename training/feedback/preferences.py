"""AI feedback: `python -m training.preferences --recipe training/recipes/starter.yaml preferences.prompts=1000`.

Prompts from the train films are answered twice by the SFT model; a judge reads both replies in both orders; what it
prefers clearly becomes `chosen`. Every judged pair is published, the dropped ones with the reason.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from chat.variants import ModelRef, load_variants
from eval.judge.bias import agreement, averaged, first_wins, longer_wins
from eval.judge.comparison import Judge
from hub.cards import dataset_card
from hub.errors import UserError
from hub.lineage import Lineage, pin
from hub.parquet import write_tables
from hub.publish import publish
from hub.rights import Rights, inherited_rights
from training.feedback.labels import dropped, judged, pairs_from_films, pairs_from_votes, to_dpo_row
from training.feedback.pair_sources import judges_of, prompts_of
from training.feedback.sampling import Row, open_sampler, sampled
from training.recipe import Recipe
from training.stage import Task, base_input, command, log_progress, work_folder


def run(recipe: Recipe, work: Path) -> str:
    """Publishes the preference set and returns its full commit sha."""
    made, settings = task(recipe), recipe.preferences
    if revision := made.done():
        return revision
    base, sft, dialogue, *others = made.lineage.inputs
    folder = work_folder(work, made.lineage)
    judges: list[Judge] = []
    if settings.source == "votes":
        (votes,) = others
        prompts, labels, drawn = pairs_from_votes(votes)
    else:
        prompts, drawn = prompts_of(recipe, dialogue, work)
        here = settings.server is None or settings.source == "pmi"  # the embedded judge is the base model
        models = ModelRef(base.repo, base.revision), {"sft": ModelRef(sft.repo, sft.revision)}
        variants = load_variants(*models) if here else None
        said = f" by {settings.server_model} of {settings.server}" if settings.server else ""
        log_progress("preferences", f"sampling two replies to each of {len(prompts):,} prompts{said}")
        with open_sampler(variants, base, settings) as speaking:
            contest = sampled(speaking, prompts, settings, folder)
        drawn |= contest.counts
        if settings.source == "corpus":
            labels = pairs_from_films(prompts, contest, sft)
        else:
            judges = judges_of(recipe, variants, work)
            labels = judged(judges, prompts, contest, recipe, sft)
    kept = [to_dpo_row(row) for row in labels if not row["dropped"]]
    counts = {"prompts": len(prompts), **drawn, "judged pairs": len(labels), "preferences": len(kept)}
    counts |= {f"dropped: {reason}": count for reason, count in dropped(labels).items()}
    for name, count in counts.items():
        log_progress("preferences", f"{name}: {count:,}")
    if not kept:
        raise UserError(
            f"no clear preference among {len(labels)} judged pairs; give more prompts, or a lower min_margin"
        )
    rights = inherited_rights(dialogue)
    facts = {"counts": counts, **told(labels, judges), "rights": rights.as_fact()}
    lineage = replace(made.lineage, facts=facts)
    tables = {"preferences": kept, "labels": labels, "prompts": prompts}
    files, metadata = write_tables(
        {config: {"train": pa.Table.from_pylist(rows)} for config, rows in tables.items()}, folder
    )
    files["README.md"] = card(recipe, metadata, facts, kept[:10], rights, lineage).encode()
    return publish(made.repo, "dataset", files, lineage, "Preference pairs", private=recipe.hub.private)


def told(labels: list[Row], judges: list[Judge]) -> dict[str, Any]:
    """Who judged and how: biases with their intervals, what it cost, how far a second judge agrees. Says it as well."""
    orders = [tuple(label["first_wins"]) for label in labels]
    replies = [tuple(label["responses"]) for label in labels]
    asked = bool(judges)
    found: dict[str, Any] = {
        "judge": judges[0].name if asked else labels[0]["judge"],
        "mode": getattr(judges[0], "summary", None) if asked else None,
        "first_wins": plain(first_wins(orders)) if asked else None,
        "longer_wins": plain(longer_wins(replies, [label["probability"] for label in labels])),
        "cost": " and ".join(filter(None, (getattr(judge, "cost", None) for judge in judges))) or None,
        "agreement": None,
    }
    for name, words in (("first_wins", "the reply shown first"), ("longer_wins", "the longer reply")):
        if share := found[name]:
            log_progress(
                "preferences", f"{words} wins {share['value']:.1%} ({share['low']:.1%} to {share['high']:.1%})"
            )
    if len(judges) > 1:
        second = averaged([tuple(label["second_first_wins"]) for label in labels])
        found["agreement"] = {"judge": judges[1].name} | agreement([label["probability"] for label in labels], second)
        both = found["agreement"]
        log_progress(
            "preferences",
            f"{both['judge']} agrees on {both['raw']:.1%} of {both['pairs']:,}, kappa {both['kappa']:.2f}",
        )
    if found["cost"]:
        log_progress("preferences", f"asked: {found['cost']}")
    return found


def plain(estimate: Any) -> dict[str, float] | None:
    return estimate._asdict() if estimate else None


def task(recipe: Recipe) -> Task:
    """The preference set, from the base, the SFT adapter and the dialogue dataset as they are now."""
    names = recipe.names
    inputs = [base_input(recipe), pin(names.adapter("sft"), "model"), pin(names.dialogue, "dataset")]
    if recipe.preferences.source == "votes":
        inputs.append(pin(names.votes, "dataset"))
    settings = {name: value for name, value in vars(recipe.preferences).items() if not name.startswith("server")}
    if recipe.preferences.server:  # its address is nobody's business, but its replies are others than those drawn here
        settings["sampled_by"] = "a server"
    if "judge" in (recipe.preferences.source, recipe.preferences.prompts_from):  # pace and budget change nothing
        asked = (recipe.judge, recipe.second_judge)
        settings["judges"] = [[one.model, one.base_url, one.effort] for one in asked if one.model]
    return Task(names.preferences, "dataset", Lineage("preferences", settings, tuple(inputs)))


def preview(recipe: Recipe, work: Path) -> None:
    task(recipe).preview()


def card(
    recipe: Recipe,
    metadata: dict[str, Any],
    facts: dict[str, Any],
    samples: list[Row],
    rights: Rights,
    lineage: Lineage,
) -> str:
    return dataset_card(
        "preferences",
        {"pretty_name": f"Repartee preferences ({recipe.model.size})", **rights.license, **metadata},
        repo=recipe.names.preferences,
        facts=facts,
        samples=samples,
        settings=lineage.settings,
        citations=rights.citations,
        lineage=lineage,
    )


if __name__ == "__main__":
    command(run, __doc__, preview)
