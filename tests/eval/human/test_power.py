"""Power analysis against simulated studies."""

import numpy as np
import pytest

from eval.human import power
from stats.clustered import subsets
from tests.support.proof import repetitions


@pytest.mark.parametrize(("raters", "prompts"), [(2, 100), (2, 300), (3, 150)])
def test_the_plan_agrees_with_simulated_studies(raters, prompts):
    """Within 3 points; 2,000 studies have a standard error of 1.1."""
    shares, studies = {"dpo": 0.52, "sft": 0.37, "base": 0.11}, repetitions(2_000, 500)
    chance = np.random.default_rng(raters * prompts)
    concentration = np.array(list(shares.values())) * (1 - power.RHO) / power.RHO
    counts = chance.multinomial(raters, chance.dirichlet(concentration, (studies, prompts)))
    differences = (counts[..., 0] - counts[..., 1]).T.astype(float)
    flipped = differences.sum(axis=0) - 2 * (subsets(prompts).astype(float) @ differences)
    beyond = abs(flipped) - abs(differences.sum(axis=0))
    p_values = (beyond > 0).mean(axis=0) + (beyond == 0).mean(axis=0) / 2
    assert power.power(0.52, 0.37, raters, prompts) == pytest.approx((p_values < 0.05).mean(), abs=0.03)


def test_the_plan_says_that_two_raters_on_100_prompts_are_too_few():
    assert power.power(0.52, 0.37, 2, 100) == pytest.approx(0.49, abs=0.01)
    needed = power.prompts_needed(0.52, 0.37, 2, 0.9)
    assert power.power(0.52, 0.37, 2, needed) >= 0.9 > power.power(0.52, 0.37, 2, needed - 1)
    assert power.power(0.4, 0.4, 3, 500) == pytest.approx(0.05)
    assert power.power(1.0, 0.0, 1, 5) == 1
    with pytest.raises(ValueError, match="equal"):
        power.prompts_needed(0.3, 0.3, 2, 0.9)
