"""The gate before labelling: a judge qualifies on validation films before replies are sampled and labels paid for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from eval.judge.comparison import Judge, in_both_orders
from eval.qualify.card import QualificationCard
from eval.qualify.cost import announce_cost
from eval.qualify.pairs import control_pairs, draw_prompts, split_rows
from eval.qualify.qualification import known_order, qualify
from eval.qualify.render import qualification_table
from hub.errors import UserError
from hub.lineage import Input
from hub.task import log_progress
from training.recipe_preferences import Preferences

CARD = "qualification.json"


def pass_gate(judge: Judge, settings: Preferences, dialogue: Input, folder: Path) -> QualificationCard:
    """Qualification card of a judge that may label; the one in `folder` where a killed run has left it there.

    Args:
        judge: labels the pairs, if it may.
        settings: how many pairs it qualifies on, and whether one that does not qualify may label all the same.
        dialogue: whose validation films the control pairs are from.
        folder: of the task.

    Raises:
        UserError: the judge did not qualify, or the dataset has no validation pairs to qualify it on.
    """
    path = folder / CARD
    if path.exists():
        card = QualificationCard.from_json(json.loads(path.read_text("utf-8")))
    else:
        card = qualification(judge, settings, dialogue)
        path.write_text(card.save_text(), "utf-8")
        print(qualification_table(card), flush=True)
    log_progress("preferences", f"{judge.name} on {card.films} validation films: {card.verdict}")
    if not card.qualified and not settings.allow_unqualified:
        raise UserError(
            f"{judge.name} does not qualify to label ({'; '.join(card.failures)}); "
            "name another judge, or set preferences.allow_unqualified: true"
        )
    return card


def qualification(judge: Judge, settings: Preferences, dialogue: Input) -> QualificationCard:
    """Qualifies a judge on the validation films; what an LLM costs is said before it is asked."""
    rows = split_rows(dialogue, "validation")
    pairs = control_pairs(rows, draw_prompts(rows, settings.qualification_pairs, settings.seed), settings.seed)
    cost = announce_cost(judge, in_both_orders(known_order(pairs)), settings.prompts)
    log_progress("preferences", f"qualifying {judge.name} on {len(pairs):,} control pairs")
    data = f"{dialogue.repo}@{dialogue.revision[:12]}, validation, seed {settings.seed}"
    return replace(qualify(judge, pairs, data), cost=cost)
