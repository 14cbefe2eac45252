"""Realism judge: `python -m training.realism --recipe training/recipes/smollm2-135m.yaml`.

Fits two heads on what a frozen model computes of replies (`eval.judge.realism`), each on half of the train films, to
prefer the film's own reply to others; `realism.reader` names another base that reads in place of the fine-tuned model.
A killed run carries on. `preferences.source: realism:HUB_ID` labels by the one head, `eval.judge:
realism-held-out:HUB_ID` evaluates by the other.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.judge.realism import HEADS, HEADS_FILE, PMI_KIND, RealismHead, load_reader, read_features, save_heads
from eval.qualify.controls import CONTROLS
from eval.qualify.measured import Measured, clustered
from eval.qualify.pairs import (
    SAMPLES,
    ControlPair,
    control_pairs,
    draw_prompts,
    sampled_pairs,
    sampled_texts,
    split_rows,
)
from hub.cards import model_card
from hub.lineage import Input, Lineage, pin, pin_model
from hub.rights import combine_rights, inherited_rights, rights_of_base
from hub.task import log_progress
from training.finetune.realism_fit import WHOLE_CONTROLS, PairFeatures, film_folds, fit_head
from training.recipe import Recipe
from training.stage import Stage, Task, base_input, command

if TYPE_CHECKING:
    from chat.variants import ModelVariants

CHUNK = 200
"""Pairs between two files of features that a killed run carries on from."""


def realism_task(recipe: Recipe) -> Task:
    """The judge, from the base, the SFT adapter, the dialogue dataset and the reader as they are now."""
    names, reader = recipe.names, recipe.realism.reader
    inputs = [base_input(recipe), pin(names.adapter("sft"), "model"), pin(names.dialogue, "dataset")]
    kind = "realism"
    if reader:
        inputs.append(pin_model(reader))
        kind = f"realism-by-{inputs[-1].repo.split('/')[-1].lower()}"
    settings = {**vars(recipe.realism), "pmi": PMI_KIND}
    return Task(names.adapter(kind), "model", Lineage("realism", settings, tuple(inputs)))


def train_realism(
    recipe: Recipe, base: Input, sft: Input, dialogue: Input, *rest: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fits both heads; returns the files to publish and what the card tells of the run.

    Args:
        recipe: whose section `realism` is meant.
        base: answers, as a control.
        sft: answers, as a control, and reads where there is no reader.
        dialogue: whose train films the pairs are of.
        rest: the reader, where the recipe names one, and the work folder.
    """
    from chat.variants import ModelRef, load_variants

    settings = recipe.realism
    *others, folder = rest
    variants = load_variants(ModelRef(base.repo, base.revision), {"sft": ModelRef(sft.repo, sft.revision)})
    pairs = training_pairs(variants, dialogue, settings.prompts, settings.seed, folder)
    read = read_pairs(load_reader((base, sft, dialogue, *others), variants), pairs, folder)
    halves = [read.select(half) for half in film_folds([pair.film for pair in pairs], len(HEADS), settings.seed)]
    facts: dict[str, Any] = {"pairs": len(pairs), "films": len({pair.film for pair in pairs})}
    heads = {}
    for name, half, other in zip(HEADS, halves, reversed(halves), strict=True):
        heads[name] = fit_head(half, settings.l2)
        weights = heads[name].blend.tolist()
        facts[f"head `{name}`, weights of novel PMI and of log P(film's line)"] = f"{weights[0]:.3f}, {weights[1]:.3f}"
        for control, found in accuracies(heads[name], other).items():
            facts[f"head `{name}`, the other half's films over {control}"] = found.describe()
    for fact, value in facts.items():
        log_progress("realism", f"{fact}: {value}")
    save_heads(heads, folder / HEADS_FILE)
    return {HEADS_FILE: folder / HEADS_FILE}, facts


def training_pairs(
    variants: ModelVariants, dialogue: Input, prompts: int, seed: int, folder: Path
) -> list[ControlPair]:
    """Pairs of the train films: WHOLE_CONTROLS of every prompt, and one of the other controls of each."""
    rows = split_rows(dialogue, "train")
    drawn = draw_prompts(rows, prompts, seed)
    pairs = sampled_pairs(drawn, sampled_texts(variants, drawn, seed, folder))
    spoiled: dict[tuple[str, str], list[ControlPair]] = {}
    for pair in control_pairs(rows, drawn, seed):
        if pair.control in WHOLE_CONTROLS:
            pairs.append(pair)
        else:
            spoiled.setdefault((pair.prompt[-1]["content"], pair.better), []).append(pair)
    rng = random.Random(seed)
    pairs += [rng.choice(own) for own in spoiled.values()]
    return sorted(pairs, key=lambda pair: (pair.prompt[-1]["content"], pair.better))  # one prompt's are read together


def read_pairs(reader: ModelVariants, pairs: list[ControlPair], folder: Path) -> PairFeatures:
    """Reads both replies of each pair; finished chunks are kept in a folder."""
    import torch
    from safetensors.torch import load_file, save_file

    chunks = []
    for start in range(0, len(pairs), CHUNK):
        part, path = pairs[start : start + CHUNK], folder / f"features-{start // CHUNK:04}.safetensors"
        if not path.exists():
            both = [(pair.prompt, reply) for pair in part for reply in (pair.better, pair.worse)]
            features, pmi = read_features(reader, both)
            draft = path.with_suffix(".new")
            save_file({"features": features.half(), "pmi": pmi}, draft)
            draft.replace(path)
            log_progress("realism", f"read {start + len(part):,} of {len(pairs):,} pairs")
        chunks.append(load_file(path))
    features = torch.cat([chunk["features"] for chunk in chunks]).float()
    return PairFeatures(pairs, features.view(len(pairs), 2, -1), torch.cat([c["pmi"] for c in chunks]).view(-1, 2))


def accuracies(head: RealismHead, read: PairFeatures) -> dict[str, Measured]:
    """Share of pairs whose better reply has the higher score, by control, clustered by film."""
    better, worse = (head.score(read.features[:, side], read.pmi[:, side]) for side in (0, 1))
    ahead = (better > worse).tolist()
    found = {}
    for name in (*CONTROLS, *SAMPLES.values()):
        own = [place for place, pair in enumerate(read.pairs) if pair.control == name]
        found[name] = clustered([float(ahead[place]) for place in own], [read.pairs[place].film for place in own])
    return found


def realism_card(recipe: Recipe, repo: str, lineage: Lineage) -> bytes:
    """Model card, with the licence of base and reader and the citations of all that the heads were fitted on."""
    base, _, _, *readers = lineage.inputs
    inherited = combine_rights(map(rights_of_base, (base, *readers)))
    metadata = {
        **inherited.license,
        "library_name": "safetensors",
        "base_model": lineage.inputs[1].repo,
        "datasets": [recipe.names.dialogue],
        "tags": ["reward-model"],
    }
    return model_card(
        "realism",
        metadata,
        repo=repo,
        sft=lineage.inputs[1].repo,
        reader=readers[0].repo if readers else None,
        facts=lineage.facts,
        settings=lineage.settings,
        citations=combine_rights([inherited, *map(inherited_rights, lineage.inputs)]).citations,
        lineage=lineage,
    ).encode()


STAGE = Stage("Realism judge", realism_task, train_realism, realism_card)

if __name__ == "__main__":
    command(STAGE.run, __doc__, STAGE.preview)
