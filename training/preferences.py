"""AI feedback: `python -m training.preferences --recipe training/recipes/starter.yaml preferences.prompts=1000`.

Prompts from the train films are answered twice by the SFT model; a judge reads both replies in both orders; what it
prefers clearly becomes `chosen`. Every judged pair is published, the dropped ones with the reason.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from hub.cards import dataset_card
from hub.errors import UserError
from hub.lineage import Input, Lineage, resolve
from hub.publish import publish
from hub.rights import Rights, handed_on
from hub.tables import write_tables
from training.base import base_input
from training.recipe import Preferences, Recipe
from training.stage import Task, command, say, work_folder

Row = dict[str, Any]


def run(recipe: Recipe, work: Path) -> str:
    """Publishes the preference set and returns its full commit sha."""
    made, settings = task(recipe), recipe.preferences
    if revision := made.done():
        return revision
    base, sft, dialogue = made.lineage.inputs
    folder = work_folder(work, made.lineage)
    prompts = seeded_prompts(dialogue, settings)
    labels, judge = judged_pairs(base, sft, prompts, settings, folder)
    kept = [preference(row) for row in labels if not row["dropped"]]
    counts = {"prompts": len(prompts), "judged pairs": len(labels), "preferences": len(kept)}
    counts |= {f"dropped: {reason}": count for reason, count in dropped(labels).items()}
    for name, count in counts.items():
        say("preferences", f"{name}: {count:,}")
    if not kept:
        raise UserError(
            f"no clear preference among {len(labels)} judged pairs; give more prompts, or a lower min_margin"
        )
    longer = longer_wins(labels)
    say("preferences", f"the longer reply wins {longer:.1%}" if longer is not None else "no pair differs in length")
    rights = handed_on(dialogue)
    facts = {"counts": counts, "judge": judge, "longer_wins": longer, "rights": rights.as_fact()}
    lineage = replace(made.lineage, facts=facts)
    tables = {"preferences": kept, "labels": labels, "prompts": prompts}
    files, metadata = write_tables(
        {config: {"train": pa.Table.from_pylist(rows)} for config, rows in tables.items()}, folder
    )
    files["README.md"] = card(recipe, metadata, counts, judge, longer, kept[:5], rights, lineage).encode()
    return publish(made.repo, "dataset", files, lineage, "Preference pairs", private=recipe.hub.private)


def task(recipe: Recipe) -> Task:
    """The preference set, from the base, the SFT adapter and the dialogue dataset as they are now."""
    names = recipe.names
    inputs = (base_input(recipe), resolve(names.adapter("sft"), "model"), resolve(names.dialogue, "dataset"))
    return Task(names.preferences, "dataset", Lineage("preferences", vars(recipe.preferences), inputs))


def preview(recipe: Recipe, work: Path) -> None:
    task(recipe).preview()


def seeded_prompts(dialogue: Input, settings: Preferences) -> list[Row]:
    """Draws distinct prompts from the train split; each keeps the scene it came from."""
    from datasets import load_dataset

    rows = load_dataset(dialogue.repo, "pairs", split="train", revision=dialogue.revision)
    prompts: dict[str, Row] = {}
    for row in rows.shuffle(seed=settings.seed):
        scene = {key: row[key] for key in ("movie_id", "movie_title", "conversation_id", "line_ids")}
        prompts.setdefault(row["prompt"][-1]["content"], {"prompt": row["prompt"], "scene": scene})
        if len(prompts) == settings.prompts:
            break
    return list(prompts.values())


def judged_pairs(
    base: Input, sft: Input, prompts: list[Row], settings: Preferences, folder: Path
) -> tuple[list[Row], str]:
    """Samples two replies to each prompt, asks the judge in both orders, and says which pairs are dropped and why."""
    from chat.bulk import generate_to
    from chat.sampling import Sampling
    from chat.voices import load
    from eval.judge import PMIJudge

    voices = load(base.repo, {"sft": sft.repo}, {"base": base.revision, "sft": sft.revision})
    sampling = Sampling(temperature=settings.temperature, top_k=settings.top_k, top_p=settings.top_p)
    twice = [row["prompt"] for row in prompts for _ in range(2)]
    say("preferences", f"sampling two replies to each of {len(prompts):,} prompts")
    replies = generate_to(folder / "replies.jsonl", voices, twice, ["sft"] * len(twice), sampling, settings.seed)
    pairs = [(row["prompt"], replies[2 * i], replies[2 * i + 1]) for i, row in enumerate(prompts)]
    judge = PMIJudge(voices)
    say("preferences", f"judging by {judge.name}, in both orders")
    ahead = judge.compare([(prompt, first.text, second.text) for prompt, first, second in pairs])
    swapped = judge.compare([(prompt, second.text, first.text) for prompt, first, second in pairs])
    labels = []
    for row, (_, first, second), p_ahead, p_swapped in zip(prompts, pairs, ahead, swapped, strict=True):
        label = {
            **row,
            "responses": [first.text, second.text],
            "ended": [first.ended, second.ended],
            "judge": judge.name,
            "first_wins": [p_ahead, p_swapped],  # the probability that the reply shown first is better, in each order
            "probability": (p_ahead + 1 - p_swapped) / 2,
            "sft_revision": sft.revision,
        }
        labels.append(label | {"dropped": reason_to_drop(label, settings.min_margin)})
    return labels, judge.name


def reason_to_drop(label: Row, min_margin: float) -> str:
    """Why a judged pair teaches nothing, or an empty text."""
    first, second = (" ".join(text.lower().split()) for text in label["responses"])
    ahead, swapped = label["first_wins"]
    if not first or not second:
        return "empty reply"
    if first == second:
        return "identical replies"
    if (ahead > 0.5) == (swapped > 0.5):
        return "orders disagree"
    if abs(label["probability"] - 0.5) < min_margin:
        return "margin too small"
    return ""


def preference(label: Row) -> Row:
    """The row that DPO reads: `prompt`, `chosen`, `rejected` as messages, and where the judgement came from."""
    order = (0, 1) if label["probability"] > 0.5 else (1, 0)
    chosen, rejected = ([{"role": "assistant", "content": label["responses"][index]}] for index in order)
    margin = abs(label["probability"] - 0.5)
    return {"prompt": label["prompt"], "chosen": chosen, "rejected": rejected, "margin": margin} | {
        key: label[key] for key in ("scene", "responses", "judge", "first_wins", "probability", "sft_revision")
    }


def dropped(labels: list[Row]) -> Counter[str]:
    return Counter(label["dropped"] for label in labels if label["dropped"])


def longer_wins(labels: list[Row]) -> float | None:
    """Share of unequal-length pairs in which the judge prefers the longer reply: its length bias."""
    pairs = [(len(label["responses"][0]) - len(label["responses"][1]), label["probability"]) for label in labels]
    wins = [(difference > 0) == (probability > 0.5) for difference, probability in pairs if difference]
    return sum(wins) / len(wins) if wins else None


def card(
    recipe: Recipe,
    metadata: dict[str, Any],
    counts: dict[str, int],
    judge: str,
    longer: float | None,
    samples: list[Row],
    rights: Rights,
    lineage: Lineage,
) -> str:
    return dataset_card(
        "preferences",
        {"pretty_name": f"Repartee preferences ({recipe.model.size})", **rights.license, **metadata},
        repo=recipe.names.preferences,
        counts=counts,
        judge=judge,
        longer_wins=longer,
        samples=samples,
        settings=vars(recipe.preferences),
        citations=rights.citations,
        lineage=lineage,
    )


if __name__ == "__main__":
    command(run, __doc__, preview)
