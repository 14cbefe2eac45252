"""Where preference pairs come from: an embedded judge, an LLM, the films, or visitors' votes."""

from __future__ import annotations

from pathlib import Path

from chat.variants import ModelVariants
from eval.judge.comparison import Judge
from hub.lineage import Input
from training.feedback.sampling import Row, seeded_prompts
from training.recipe import Recipe


def prompts_of(recipe: Recipe, dialogue: Input, work: Path) -> tuple[list[Row], dict[str, int]]:
    """The lines to answer, and what was counted where a model wrote them."""
    settings = recipe.preferences
    if settings.prompts_from == "films":
        return seeded_prompts(dialogue, settings), {}
    from eval.judge.client import Client
    from training.feedback.prompts import test_lines, written

    with Client(recipe.judge, work / "judge.sqlite") as client:
        return written(client, settings.prompts, settings.seed, test_lines(dialogue))


def judges_of(recipe: Recipe, variants: ModelVariants | None, work: Path) -> list[Judge]:
    """Who labels the pairs: one judge, or a second one beside it for comparison."""
    from eval.judge.pmi import PMIJudge

    if recipe.preferences.source == "pmi":
        assert variants is not None
        return [PMIJudge(variants)]
    from eval.judge.client import Client
    from eval.judge.pairwise import LLMJudge

    asked = [recipe.judge] + ([recipe.second_judge] if recipe.second_judge.model else [])
    return [LLMJudge(Client(settings, work / "judge.sqlite")) for settings in asked]
