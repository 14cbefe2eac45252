"""AI feedback: `python -m training.preferences --recipe training/recipes/starter.yaml preferences.prompts=1000`.

A judge qualifies on the validation films (`eval.qualify`), or is refused. Prompts from the train films are answered
twice by the SFT model; the judge reads both replies in both orders; what it prefers clearly becomes `chosen`. Every
judged pair is published, the dropped ones with the reason.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.judge.bias import agreement, averaged, chosen_echo, first_wins, longer_wins
from eval.judge.embedded import EmbeddedJudge
from eval.judge.names import full_name
from eval.qualify.card import QualificationCard
from eval.qualify.render import qualification_table
from hub.cards import dataset_card
from hub.errors import UserError
from hub.lineage import Input, Lineage, pin
from hub.names import published_address
from hub.parquet import write_tables
from hub.publish import publish
from hub.rights import Rights, inherited_rights
from training.feedback.labels import LabelledPair, count_dropped, to_dpo_row
from training.feedback.pair_sources import LabelledSet, SamplingContext, from_films, from_judge, from_votes
from training.recipe import Recipe
from training.recipe_preferences import Preferences
from training.stage import CustomStage, Task, base_input, command, log_progress, work_folder

if TYPE_CHECKING:
    import pyarrow as pa


def make_preferences(recipe: Recipe, work: Path) -> str:
    """Publishes the preference set where it is not up to date, and returns its full commit sha."""
    made = preferences_task(recipe)
    if revision := made.done(recipe.hub.private):
        return revision
    folder, dialogue = work_folder(work, made.lineage), made.lineage.inputs[2]
    labelled = labelled_set(recipe, made, folder, work)
    kept = [to_dpo_row(pair) for pair in labelled.pairs if not pair.dropped]
    dropped = count_dropped(labelled.pairs)
    counts = {"prompts": len(labelled.prompts), **labelled.counts}
    counts |= {"judged pairs": len(labelled.pairs), "preferences": len(kept)}
    counts |= {f"dropped: {reason}": count for reason, count in dropped.items()}
    for name, value in counts.items():
        log_progress("preferences", f"{name}: {value:,}")
    if not kept:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in dropped.items())
        raise UserError(
            f"no clear preference among {len(labelled.pairs)} judged pairs ({reasons}); "
            "give more prompts, a lower min_margin or a stronger judge"
        )
    rights = inherited_rights(dialogue)
    facts = {"counts": counts, **summarize_judging(labelled), "rights": rights.as_fact()}
    facts["qualification"] = labelled.qualification.to_json() if labelled.qualification else None
    lineage = replace(made.lineage, facts=facts)
    files, metadata = write_tables(preference_tables(labelled, kept), folder)
    files["README.md"] = preferences_card(recipe, metadata, facts, kept[:10], rights, lineage).encode()
    return publish(made.repo, "dataset", files, lineage, "Preference pairs", private=recipe.hub.private)


def labelled_set(recipe: Recipe, made: Task, folder: Path, work: Path) -> LabelledSet:
    """Pairs from the source that the recipe names: votes, films, or a judge."""
    settings = settings_of(recipe)
    base, sft, dialogue, *others = made.lineage.inputs
    if settings.source == "votes":
        (votes,) = others
        return from_votes(votes)
    if settings.source == "corpus":
        return from_films(settings, sampling_context(settings, base, sft, dialogue, folder))
    context = replace(sampling_context(settings, base, sft, dialogue, folder), judge=next(iter(others), None))
    return from_judge(settings, (recipe.judge, recipe.second_judge), context, work / "judge.sqlite")


def settings_of(recipe: Recipe) -> Preferences:
    """The recipe's preferences, the judge by its full name."""
    return replace(recipe.preferences, source=full_name(recipe.preferences.source, recipe.names))


def sampling_context(settings: Preferences, base: Input, sft: Input, dialogue: Input, folder: Path) -> SamplingContext:
    """What to sample from: this machine's models, unless a server samples and no model of this machine judges."""
    from chat.variants import ModelRef, load_variants

    judging = settings.embedded and settings.embedded.repo is None  # an embedded judge that scores by a variant
    here = settings.server is None or judging
    models = ModelRef(base.repo, base.revision), {"sft": ModelRef(sft.repo, sft.revision)}
    variants = load_variants(*models) if here else None
    return SamplingContext(base, sft, dialogue, variants, folder)


def preference_tables(labelled: LabelledSet, kept: list[dict[str, Any]]) -> dict[str, dict[str, pa.Table]]:
    """Tables by config and split: `preferences` (what DPO reads), `labels` (every pair) and `prompts`."""
    import pyarrow as pa

    rows = {"preferences": kept, "labels": [pair.to_row() for pair in labelled.pairs], "prompts": labelled.prompts}
    return {config: {"train": pa.Table.from_pylist(rows_of)} for config, rows_of in rows.items()}


def summarize_judging(labelled: LabelledSet) -> dict[str, Any]:
    """Judges and biases: position and length bias with intervals, cost, agreement of a second judge; logs them."""
    pairs, judges = labelled.pairs, labelled.judges
    probabilities = [pair.probability for pair in pairs]
    found: dict[str, Any] = {
        "judge": judges[0].name if judges else pairs[0].judge,
        "mode": getattr(judges[0], "summary", None) if judges else None,
        "first_wins": estimate_fact(first_wins([pair.first_wins for pair in pairs])) if judges else None,
        "longer_wins": estimate_fact(longer_wins([pair.responses for pair in pairs], probabilities)),
        "embedded": all(isinstance(judge, EmbeddedJudge) for judge in judges),
        "echo": chosen_echo(kept_choices(pairs)) or None,
        "cost": " and ".join(filter(None, (getattr(judge, "cost", None) for judge in judges))) or None,
        "agreement": None,
    }
    for name, reply in (("first_wins", "the reply shown first"), ("longer_wins", "the longer reply")):
        if share := found[name]:
            interval = f"{share['low']:.1%} to {share['high']:.1%}"
            log_progress("preferences", f"{reply} wins {share['value']:.1%} ({interval})")
    if len(judges) > 1:
        second = averaged([pair.second_first_wins for pair in pairs if pair.second_first_wins])
        found["agreement"] = {"judge": judges[1].name} | agreement(probabilities, second)
        both = found["agreement"]
        log_progress(
            "preferences",
            f"{both['judge']} agrees on {both['raw']:.1%} of {both['pairs']:,}, kappa {both['kappa']:.2f}",
        )
    if found["cost"]:
        log_progress("preferences", f"asked: {found['cost']}")
    return found


def kept_choices(pairs: list[LabelledPair]) -> list[tuple[list[dict[str, str]], str, str]]:
    """Prompt, chosen and rejected reply of each pair that is kept."""
    rows = [to_dpo_row(pair) for pair in pairs if not pair.dropped]
    return [(row["prompt"], row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in rows]


def estimate_fact(estimate: Any) -> dict[str, float] | None:
    """Estimate with its interval as the lineage keeps it."""
    return estimate._asdict() if estimate else None


def preferences_task(recipe: Recipe) -> Task:
    """The preference set, from the base, the SFT adapter and the dialogue dataset as they are now."""
    names = recipe.names
    inputs = [base_input(recipe), pin(names.adapter("sft"), "model"), pin(names.dialogue, "dataset")]
    if recipe.preferences.source == "votes":
        inputs.append(pin(names.votes, "dataset"))
    if (judge := settings_of(recipe).embedded) and judge.repo:
        inputs.append(pin(judge.repo, "model"))
    settings = {name: value for name, value in vars(settings_of(recipe)).items() if not name.startswith("server")}
    if recipe.preferences.server:  # its address is nobody's business, but its replies are others than those drawn here
        settings["sampled_by"] = "a server"
    if "judge" in (recipe.preferences.source, recipe.preferences.prompts_from):  # pace and budget change nothing
        judges = (recipe.judge, recipe.second_judge)
        settings["judges"] = [[one.model, published_address(one.base_url), one.effort] for one in judges if one.model]
    return Task(names.preferences, "dataset", Lineage("preferences", settings, tuple(inputs)))


def preview_preferences(recipe: Recipe, work: Path) -> None:
    """Prints what would be made, from what and why."""
    preferences_task(recipe).preview(recipe.hub.private)


def preferences_card(
    recipe: Recipe,
    metadata: dict[str, Any],
    facts: dict[str, Any],
    samples: list[dict[str, Any]],
    rights: Rights,
    lineage: Lineage,
) -> str:
    """Dataset card, with the first rows as samples."""
    qualified = facts["qualification"]
    return dataset_card(
        "preferences",
        {"pretty_name": f"Repartee preferences ({recipe.model.size})", **rights.license, **metadata},
        repo=recipe.names.preferences,
        facts=facts,
        qualification=qualification_table(QualificationCard.from_json(qualified)) if qualified else None,
        samples=samples,
        settings=lineage.settings,
        citations=rights.citations,
        lineage=lineage,
    )


STAGE = CustomStage(make_preferences, preview_preferences)

if __name__ == "__main__":
    command(STAGE.run, __doc__, STAGE.preview)
