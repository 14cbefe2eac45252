"""Win rates of a study: clusters as there are, styles as the key tells them, reasons where there is no fit."""

import numpy as np
import pytest

from eval.human import analysis
from eval.human.sheet_votes import SheetVote
from eval.human.win_rates import vote_win_rates, win_rate_lines
from stats.style import Style
from tests.support.studies import STUDY_VARIANTS


def given(raters: int, prompts: int, styles: bool = True) -> list[SheetVote]:
    """Every rater on every prompt; SFT's replies are the longer ones, and half of the votes choose the longest."""
    chance, found = np.random.default_rng(3), []
    for item in range(prompts):
        own = {
            name: Style(chance.poisson(12 if name == "sft" else 6) + 1, chance.random(), 0.1) for name in STUDY_VARIANTS
        }
        for rater in range(raters):
            longest = max(own, key=lambda name: own[name].length)
            chosen = longest if chance.random() < 0.5 else STUDY_VARIANTS[chance.integers(3)]
            shown = own if styles else None
            found.append(SheetVote(f"r{rater}", f"i{item}", 0, (chosen,), STUDY_VARIANTS, shown))
    return found


def test_length_alone_is_gone_at_equal_style_and_films_are_the_clusters_of_few_raters():
    found = vote_win_rates(given(2, 200), {f"i{item}": f"m{item % 60}" for item in range(200)})
    assert (found["unit"], found["plain"]["clusters"]) == ("films", 60)
    assert found["plain"]["rates"]["sft over base"]["low"] > 0.55
    equal = found["equal_style"]["rates"]["sft over base"]
    assert equal["low"] < 0.5 < equal["high"]
    assert list(found["equal_style"]["style"]) == ["length", "echo"], "punctuation does not vary"
    table = win_rate_lines(found)
    assert table[0] == "| pair | Bradley-Terry win rate | at equal style |"
    assert [line.split(" | ")[0] for line in table[2:5]] == [
        "| fine-tuned over base", "| DPO over base", "| DPO over fine-tuned",
    ]  # fmt: skip
    assert table[-1].endswith("comparisons, intervals of 60 films")


def test_raters_are_the_clusters_where_there_are_many():
    found = vote_win_rates(given(60, 4), {f"i{item}": "film" for item in range(4)})
    assert (found["unit"], found["plain"]["clusters"]) == ("raters", 60)


def test_without_styles_there_are_plain_rates_alone():
    found = vote_win_rates(given(60, 2, styles=False))
    assert "reason" in found["equal_style"]
    assert [line.rsplit(" | ", 1)[1] for line in win_rate_lines(found)[2:5]] == ["- |"] * 3


def test_of_few_films_there_is_a_line():
    found = analysis.analyse(given(2, 60), {f"i{item}": f"m{item % 6}" for item in range(60)})
    line = "no win rates: 6 of the 50 films that Bradley-Terry takes: of fewer its intervals are too narrow"
    assert line in analysis.study_table(found)
    with pytest.raises(KeyError):
        found["win_rates"]["plain"]["rates"]
