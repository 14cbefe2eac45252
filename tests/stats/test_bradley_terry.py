"""Bradley-Terry with style: equal to statsmodels' logistic regression, planted effects found, coverage as stated."""

from collections import defaultdict

import numpy as np
import pytest
from statsmodels.api import Logit

from stats.bradley_terry import FIT_CLUSTERS, NoFit, battles_of, win_rates
from stats.style import STYLE, Style
from tests.support.proof import repetitions

VARIANTS = ("base", "sft", "dpo")
STRENGTHS = {"base": 0.0, "sft": 0.5, "dpo": 0.8}


def votes(chance, raters, by_length=0.0, taste=0.3, strengths=STRENGTHS):
    """Battles of votes: raters with tastes of their own, some votes each, ties of one in ten; longer replies are liked
    by `by_length`, and DPO's are the shortest."""
    found = []
    for rater in range(raters):
        own = {name: value + chance.normal(0, taste) for name, value in strengths.items()}
        for _ in range(chance.integers(1, 6)):
            styles = {
                name: Style(
                    chance.poisson({"base": 20, "sft": 12, "dpo": 6}[name]) + 1, chance.random(), chance.random()
                )
                for name in VARIANTS
            }
            utility = [own[name] + chance.gumbel() + by_length * np.log(styles[name].length) for name in VARIANTS]
            chosen = () if chance.random() < 0.1 else (VARIANTS[int(np.argmax(utility))],)
            found += battles_of(chosen, VARIANTS, styles, f"r{rater}")
    return found


def test_a_vote_is_its_battles_and_ties_are_halves():
    styles = {name: Style(length, 0, 0) for name, length in (("base", 3), ("sft", 1), ("dpo", 1))}
    found = battles_of(("dpo",), VARIANTS, styles, "r")
    assert [(one.first, one.second, one.won) for one in found] == [("dpo", "base", 1), ("dpo", "sft", 1)]
    assert [one.style for one in found] == [(-0.5, 0, 0), (0, 0, 0)]
    assert [one.won for one in battles_of((), VARIANTS, {}, "r")] == [0.5] * 3
    same = battles_of(("sft", "dpo"), VARIANTS, {}, "r")
    assert [(one.first, one.second, one.won) for one in same] == [
        ("sft", "base", 1), ("dpo", "base", 1), ("dpo", "sft", 0.5),
    ]  # fmt: skip
    assert all(one.style is None for one in same)


@pytest.mark.parametrize("with_style", [True, False])
def test_rates_and_intervals_are_those_of_statsmodels(with_style):
    battles = votes(np.random.default_rng(1), 80, by_length=0.4)
    if not with_style:
        battles = [one._replace(style=None) for one in battles]
    found = win_rates(battles, VARIANTS)
    assert (found.style, found.clusters) == ((STYLE if with_style else ()), 80)
    rows = defaultdict(list)
    for one in battles:
        rows["x"].append([*((one.first == name) - (one.second == name) for name in ("sft", "dpo")), *(one.style or ())])
        rows["y"].append(one.won)
        rows["by"].append(int(one.cluster[1:]))
    peer = Logit(rows["y"], rows["x"]).fit(
        disp=0, cov_type="cluster", cov_kwds={"groups": np.array(rows["by"])}, use_t=True
    )
    for contrast, pair in (([1, 0], "sft over base"), ([0, 1], "dpo over base"), ([-1, 1], "dpo over sft")):
        row = [contrast + [0] * len(found.style)]
        tested = peer.t_test(row)
        expected = 1 / (1 + np.exp(-np.append(tested.effect, tested.conf_int()[0])))
        assert found.rates[pair] == pytest.approx(expected, abs=1e-6)


def test_what_length_alone_made_is_gone_at_equal_style():
    """Base's replies are the longest and length is liked: it wins, and at equal length it does not."""
    even = dict.fromkeys(VARIANTS, 0.0)
    battles = votes(np.random.default_rng(2), 300, by_length=1.5, strengths=even)
    plain = win_rates([one._replace(style=None) for one in battles], VARIANTS).rates["dpo over base"]
    equal = win_rates(battles, VARIANTS).rates["dpo over base"]
    assert plain.high < 0.4
    assert equal.low < 0.5 < equal.high


def test_the_intervals_cover_at_the_least_number_of_raters():
    """The truth is the model's own: comparisons with a first choice among three, raters of one taste."""
    covered, count = 0, repetitions(1000, 120)
    for seed in range(count):
        rate = win_rates(votes(np.random.default_rng(seed), FIT_CLUSTERS, taste=0.0), VARIANTS).rates["dpo over sft"]
        covered += rate.low < truth() < rate.high
    print(f"{covered / count:.1%} of {count} intervals hold the truth")
    assert covered / count > 0.9


def truth() -> float:
    """Win rate of DPO over SFT where a tenth of the votes are ties of all three."""
    share = {name: np.exp(value) for name, value in STRENGTHS.items()}
    total = sum(share.values())
    wins, losses = 0.9 * share["dpo"] / total, 0.9 * share["sft"] / total
    return (wins + 0.05) / (wins + losses + 0.1)


def test_too_few_raters_and_what_has_no_fit_are_said():
    battles = votes(np.random.default_rng(3), FIT_CLUSTERS - 1)
    with pytest.raises(NoFit, match=f"{FIT_CLUSTERS - 1} of the {FIT_CLUSTERS} raters"):
        win_rates(battles, VARIANTS)
    with pytest.raises(NoFit, match="0 of the 50 films"):
        win_rates([], VARIANTS, "films")
    always = [one for n in range(60) for one in battles_of(("dpo",), VARIANTS, {}, str(n))]
    with pytest.raises(NoFit, match="has won everything"):
        win_rates(always, VARIANTS)
    two = [one for n in range(60) for one in battles_of(("sft",) if n % 2 else ("base",), ("base", "sft"), {}, str(n))]
    with pytest.raises(NoFit, match="never compared"):
        win_rates(two, VARIANTS)
    assert set(win_rates(two, ("base", "sft")).rates) == {"sft over base"}
