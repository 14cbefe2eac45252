"""Length and style control: planted effects are told apart, extrapolation is warned of."""

import numpy as np
import pytest
from statsmodels.api import GLM, families

from eval.report.controls import at_equal, fit_preferences, one_sided, style_differences
from tests.support.answered import response_row

FILMS = [str(n // 10) for n in range(600)]


def planted(chance, longer, preference, effect, by_length):
    """Wins or score differences of an effect and of a reward for length."""
    lifted = effect + by_length * np.tanh(longer / longer.std())
    if preference:
        return (chance.random(len(longer)) < 1 / (1 + np.exp(-lifted))).astype(float)
    return lifted + chance.normal(0, 0.5, len(longer))


@pytest.mark.parametrize("preference", [True, False])
@pytest.mark.parametrize("effect", [0.0, 0.8])
def test_at_equal_length_what_length_alone_made_is_gone(preference, effect):
    chance = np.random.default_rng(4)
    longer = chance.normal(3, 5, 600)
    values = planted(chance, longer, preference, effect, 1.5)
    estimate, extrapolated = at_equal(values, {"length": longer}, FILMS, preference)
    even, true = (0.5, 1 / (1 + np.exp(-effect))) if preference else (0.0, effect)
    assert extrapolated == ()
    assert estimate.low < true < estimate.high
    assert (estimate.low <= even <= estimate.high) == (effect == 0)
    assert (estimate.p_value < 0.01) == (effect > 0)
    assert np.mean(values) > even + 0.05  # by which it would have been called better


def test_a_gamed_system_is_extrapolated_and_said_to_be():
    """Audit: always far longer, it read 46.5% at equal length where the published figure is 12.2%; no warning."""
    chance = np.random.default_rng(5)
    longer = chance.normal(400, 60, 600)
    won = (chance.random(600) < 0.9).astype(float)
    found = at_equal(won, {"length": longer}, FILMS, preference=True)
    assert found.extrapolated == ("length",)
    assert found.facts()["extrapolated"] == ["length"]
    fair = at_equal(won, {"length": longer - 400}, FILMS, preference=True)
    assert fair.extrapolated == ()
    assert fair.estimate.value == pytest.approx(won.mean(), abs=0.02)
    assert at_equal(won, {"length": -longer}, FILMS, preference=True).extrapolated == ("length",)


def test_style_is_controlled_beside_length():
    """A judge that rewards echo alone: length control leaves its preference, style control takes it away."""
    chance = np.random.default_rng(6)
    longer, echo = chance.normal(0, 5, 600), chance.normal(0.1, 0.2, 600)
    won = planted(chance, echo, True, 0.0, 4.0)
    by_length = at_equal(won, {"length": longer}, FILMS, preference=True).estimate
    by_style = at_equal(won, {"length": longer, "echo": echo}, FILMS, preference=True).estimate
    assert by_length.low > 0.5
    assert by_style.low < 0.5 < by_style.high


def test_the_fit_is_that_of_statsmodels():
    chance = np.random.default_rng(7)
    design = np.column_stack([np.ones(400), chance.normal(0, 1, (400, 2))])
    y = (chance.random(400) < 1 / (1 + np.exp(-design @ [0.3, 1.0, -0.5]))).astype(float)
    y[:40] = 0.5
    expected = GLM(y, design, family=families.Binomial()).fit().params
    assert fit_preferences(design, y) == pytest.approx(expected, abs=1e-3)
    assert np.isfinite(fit_preferences(design, np.ones(400))).all()  # all wins


def test_the_interval_has_films_as_its_units():
    """What a film shares is no evidence twice; of 5 films there is no interval."""
    chance = np.random.default_rng(8)
    longer = chance.normal(1, 5, 60)
    won = planted(chance, longer, True, 0.5, 1.0)
    once = at_equal(won, {"length": longer}, [str(n) for n in range(60)], preference=True).estimate
    thrice = at_equal(
        np.repeat(won, 3), {"length": np.repeat(longer, 3)}, np.repeat(range(60), 3).astype(str), preference=True
    ).estimate
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high), abs=0.01)
    few = at_equal(won, {"length": longer}, [str(n % 5) for n in range(60)], preference=True).estimate
    assert few[1:] == (None, None, None, 5)


def test_one_sided():
    assert one_sided([1.0] * 99 + [-1.0])
    assert not one_sided([1.0] * 90 + [-1.0] * 10)
    assert not one_sided([0.0] * 10)


def test_style_of_two_replies():
    row = response_row(["L0"], ["Where is Anna?"], {"sft": "Anna is here!", "dpo": "No"})
    found = style_differences(row["prompt"], row["sft"]["text"], row["dpo"]["text"])
    assert found == pytest.approx({"length": 2.0, "echo": 2 / 3, "punctuation": 1 / 3})
