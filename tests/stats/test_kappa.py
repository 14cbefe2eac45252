"""Cohen's and Fleiss' kappa: equal to statsmodels, and at their ends."""

import math

import numpy as np
import pytest
from statsmodels.stats.inter_rater import aggregate_raters
from statsmodels.stats.inter_rater import cohens_kappa as statsmodels_cohen
from statsmodels.stats.inter_rater import fleiss_kappa as statsmodels_fleiss

from stats.kappa import cohen_kappa, fleiss_kappa


@pytest.mark.parametrize("seed", range(5))
def test_kappas_equal_statsmodels(seed):
    chance = np.random.default_rng(seed)
    said = chance.choice(4, (60, 3), p=[0.4, 0.3, 0.2, 0.1])
    said[:, 1] = np.where(chance.random(60) < 0.5, said[:, 0], said[:, 1])
    counts = np.zeros((4, 4))
    np.add.at(counts, (said[:, 0], said[:, 1]), 1)
    assert cohen_kappa(*said[:, :2].T.tolist()) == pytest.approx(
        statsmodels_cohen(counts, return_results=False), abs=1e-12
    )
    expected = statsmodels_fleiss(aggregate_raters(said)[0])
    assert fleiss_kappa(said.tolist()) == pytest.approx(expected, abs=1e-12)


def test_kappas_at_their_ends():
    assert cohen_kappa("abab", "abab") == 1
    assert cohen_kappa("ab", "ba") == -1
    assert math.isnan(cohen_kappa("aa", "aa"))
    assert math.isnan(cohen_kappa("", ""))
    assert fleiss_kappa(["aaa", "bbb"]) == 1
    assert math.isnan(fleiss_kappa(["aa", "aa"]))
    with pytest.raises(ValueError, match=r"\[1\]"):
        fleiss_kappa(["a", "b"])
    with pytest.raises(ValueError, match="same number"):
        fleiss_kappa(["ab", "abc"])
