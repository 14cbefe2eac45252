"""Analysis of a study: what was planted is found."""

import numpy as np
import pytest

from eval.human import analysis, power
from eval.human.sheet_votes import SheetVote
from tests.support.studies import STUDY_VARIANTS


def study(shares: dict[str, float], raters: int, prompts: int, seed: int, rho: float = power.RHO) -> list[SheetVote]:
    """Votes of raters who share a taste on each prompt: Dirichlet, so that two of them agree beyond chance by rho."""
    chance, variants = np.random.default_rng(seed), tuple(shares)
    found = []
    for item in range(prompts):
        taste = chance.dirichlet([share * (1 - rho) / rho for share in shares.values()])
        for rater in range(raters):
            found.append(
                SheetVote(str(rater), str(item), 0, (variants[chance.choice(len(variants), p=taste)],), variants)
            )
    return found


def test_an_analysis_finds_what_was_planted():
    found = analysis.analyse(study({"dpo": 0.52, "sft": 0.37, "base": 0.11}, 3, 600, seed=5))
    for variant, share in (("dpo", 0.52), ("sft", 0.37), ("base", 0.11)):
        assert found["shares"][variant]["low"] < share < found["shares"][variant]["high"]
    assert sum(share["value"] for share in found["shares"].values()) == pytest.approx(1)
    assert all(pair["p_value"] < 0.01 for pair in found["pairs"].values())
    assert found["agreement"]["method"] == "Fleiss"
    assert found["agreement"]["kappa"] == pytest.approx(power.RHO, abs=0.06)
    null = analysis.analyse(study({"dpo": 0.4, "sft": 0.4, "base": 0.2}, 3, 600, seed=6))
    assert null["pairs"]["dpo - sft"]["p_value"] > 0.05
    assert null["pairs"]["dpo - sft"]["low"] < 0 < null["pairs"]["dpo - sft"]["high"]


def test_controls_are_reported_apart_and_cost_the_variants_nothing():
    shares = {"film": 0.4, "dpo": 0.26, "sft": 0.26, "shuffled": 0.08}
    found = analysis.analyse(study(shares, 3, 600, seed=7))
    assert list(found["pairs"]) == ["dpo - sft"]
    assert set(found["controls"]) == {
        "film - sft", "film - dpo", "sft - shuffled", "dpo - shuffled", "film - shuffled",
    }  # fmt: skip
    for name, pair in found["controls"].items():
        one, other = name.split(" - ")
        assert pair["value"] == pytest.approx(shares[one] - shares[other], abs=0.07)
        assert pair["p_value"] < 0.01
    first, *controls = analysis.difference_lines(found)
    assert first.startswith("dpo - sft: ")
    assert first.endswith(f"p = {found['pairs']['dpo - sft']['p_value']:.4f}"), "one pair: nothing to correct for"
    assert any(line.startswith("film - shuffled: +") for line in controls)


def test_shared_choices_ties_and_repeats():
    given = [
        SheetVote("a", "1", 0, ("dpo", "sft"), STUDY_VARIANTS),
        SheetVote("a", "2", 0, (), STUDY_VARIANTS),
        SheetVote("a", "3", 0, ("base",), STUDY_VARIANTS),
        SheetVote("b", "1", 0, ("dpo", "sft"), STUDY_VARIANTS),
        SheetVote("b", "2", 0, ("base",), STUDY_VARIANTS),
        SheetVote("a", "1", 1, ("dpo", "sft"), STUDY_VARIANTS),
        SheetVote("a", "2", 1, ("base",), STUDY_VARIANTS),
    ]
    found = analysis.analyse(given)
    assert {variant: share["value"] for variant, share in found["shares"].items()} == {
        "base": 0.5,
        "dpo": 0.25,
        "sft": 0.25,
    }
    assert (found["choices"], found["ties"], found["prompts"]) == (4, 1, 3)
    assert found["agreement"] == {"kappa": pytest.approx(1 / 3), "items": 2, "method": "Cohen"}
    assert found["self_consistency"] == {"repeats": 2, "same": 0.5}
    text = analysis.study_table(found)
    assert "| base | 50.0% |" in text
    assert analysis.difference_lines(found)[0] == "sft - base: -25.0 points, 3 prompts: too few"
    assert "4 choices and 1 ties by 2 raters on 3 prompts" in text
    with pytest.raises(ValueError, match="no choice"):
        analysis.analyse([SheetVote("a", "1", 0, (), STUDY_VARIANTS)])


def test_with_films_known_they_are_the_clusters():
    votes = study({"dpo": 0.52, "sft": 0.37, "base": 0.11}, 2, 60, seed=5)
    by_film = analysis.analyse(votes, {str(item): f"m{item % 4}" for item in range(60)})
    assert {pair["clusters"] for pair in by_film["pairs"].values()} == {4}
    assert analysis.difference_lines(by_film)[0].endswith("4 films: too few")
    assert analysis.difference_lines(analysis.analyse(votes))[0].count("p = ") == 1
