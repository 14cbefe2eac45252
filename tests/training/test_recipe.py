"""Recipes: the shipped ones load; what cannot be is refused in one line that names the key."""

from pathlib import Path

import pytest

from eval.judge.pairwise import PAIRWISE_QUESTION
from eval.judge.prices import price_of
from eval.judge.protocol import CHARACTERS_A_TOKEN
from hub.errors import UserError
from training.feedback.prompts import PER_CALL
from training.recipe import load

RECIPES = sorted(Path("training/recipes").glob("*.yaml"))
STARTER = Path("training/recipes/starter.yaml")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_load(path):
    recipe = load(path)
    assert recipe.model.size == path.stem
    assert recipe.sft.trl["packing"] is True
    assert recipe.sft.trl["max_length"] == 512


def test_the_papers_recipe_has_an_llm_write_and_judge():
    recipe = load("training/recipes/qwen2.5-3b-paper.yaml")
    assert (recipe.preferences.source, recipe.preferences.prompts_from) == ("judge", "judge")
    assert recipe.preferences.prompts == 10_000
    assert not recipe.preferences.allow_unqualified
    price = price_of(recipe.judge)
    assert price
    labels, written = 2 * 10_000, 10_000 * 5 // (PER_CALL * 4)  # both orders; a fifth of the lines will not do
    question = (len(PAIRWISE_QUESTION) + 300) // CHARACTERS_A_TOKEN
    most = price.of(labels * question + written * 250, labels + written * 60 * PER_CALL)
    assert 10 < most < recipe.judge.budget < 2 * most  # dollars: enough for what is planned, not for twice that


def test_overrides_reach_both_kinds_of_keys():
    recipe = load(STARTER, ["dpo.beta=0.3", "sft.learning_rate=1e-4", "model.lora.r=4", "sft.pairs=12"])
    assert recipe.dpo.trl["beta"] == 0.3
    assert recipe.sft.trl["learning_rate"] == 1e-4
    assert (recipe.model.lora.r, recipe.sft.pairs) == (4, 12)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("modle.size=x", "unknown key modle"),
        ("model.sise=x", "unknown key model.sise"),
        ("sft.lerning_rate=1", "unknown key sft.lerning_rate"),
        ("sft.learning_rate=fast", "sft.learning_rate is 'fast'"),
        ("sft.packing=maybe", "sft.packing is 'maybe'"),
        ("dpo.beta=[1]", "dpo.beta is"),
        ("model.lora.r=many", "model.lora.r is 'many'"),
        ("model.four_bit=2", "model.four_bit is 2"),
        ("data.context_turns=0", "data.context_turns is 0"),
        ("data.split_by=colour", "one of film, conversation, pair"),
        ("data.sources=[]", "data.sources is empty"),
        ("data.sources=[{weight: 2}]", "data.sources.path is missing"),
        ("data.sources=[{path: x, weight: 0}]", "data.sources.weight is 0"),
        ("data.sources=[{path: x, wait: 1}]", "unknown key data.sources.wait"),
        ("preferences.min_margin=0.7", "preferences.min_margin is 0.7"),
        ("preferences.source=pmy", "preferences.source is 'pmy'; it takes one of judge, corpus, votes, pmi, mean-pmi"),
        ("eval.judge=llm", "eval.judge is 'llm'; it takes one of pmi, mean-pmi"),
        ("preferences.source=judge", "preferences.source is judge and judge.model is not given"),
        ("preferences.prompts_from=judge", "preferences.prompts_from is judge and judge.model is not given"),
        ("preferences.qualification_pairs=0", "preferences.qualification_pairs is 0"),
        ("model=3", "model"),
        ("no_sign", "section.key=value"),
        ("sft.x.y.z=1", "unknown key sft.x"),
    ],
)
def test_what_cannot_be_is_one_line(override, says):
    with pytest.raises(UserError) as caught:
        load(STARTER, [override])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_recipe(tmp_path):
    (tmp_path / "bad.yaml").write_text("sft: [1, 2\n")
    (tmp_path / "list.yaml").write_text("- 1\n")
    for path in (tmp_path / "bad.yaml", tmp_path / "list.yaml", tmp_path / "none.yaml"):
        with pytest.raises(UserError) as caught:
            load(path)
        assert "\n" not in str(caught.value)
