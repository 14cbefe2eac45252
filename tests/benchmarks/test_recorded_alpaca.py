"""AlpacaEval 2 from recorded preferences: raw, at equal length, and where hardly any lengths are equal."""

import json

import numpy as np
import pytest

from benchmarks.recorded import main
from benchmarks.recorded_alpaca import (
    GAMED,
    JUDGE,
    LEADERBOARD,
    SHOWN,
    WEIGHTS,
    alpaca_figures,
    alpaca_win_rate,
    instruction_difficulty,
    length_controlled_figures,
    to_recorded,
)

INSTRUCTIONS = 300
COLUMNS = ("np.tanh(std_delta_len)", "instruction_difficulty", "not_gamed_baseline.astype(float)")


def test_a_draw_is_half_a_win_and_a_missing_preference_is_none():
    rows = [{"preference": preference} for preference in (1.0, 2.0, 0.0, 1.25, None)]
    assert alpaca_win_rate(rows) == pytest.approx((0 + 100 + 50 + 25) / 4)
    recorded = to_recorded([{**row, "output_1": "ab", "output_2": "abcde"} for row in rows])
    assert recorded.wins.tolist()[:4] == [0.0, 1.0, 0.5, 0.25]
    assert np.isnan(recorded.wins[4])
    assert recorded.longer.tolist() == [3.0] * 5


@pytest.fixture
def planted(tmp_path):
    """A checkout whose judge follows the published form: strength, difficulty, and a taste for length."""
    chance = np.random.default_rng(2)
    difficulty, wins, rates, slopes = chance.normal(0, 1.5, INSTRUCTIONS), {}, {}, {}
    for place, model in enumerate([*SHOWN, GAMED, *(f"other-{n}" for n in range(25))]):
        by_length, by_difficulty, own = -1.5, 0.9 + 0.02 * place, -1.0 + 0.1 * (place % 9)
        longer = chance.normal(-2000 if model == GAMED else -100, 400, INSTRUCTIONS).round()
        length = np.tanh(-longer / longer.std())
        p = 1 / (1 + np.exp(-(by_length * length + by_difficulty * difficulty + own)))
        wins[model] = [
            {"preference": 1 + float(one), "output_1": "a" * 3000, "output_2": "a" * int(max(0, 3000 + more))}
            for one, more in zip(p, longer, strict=True)
        ]
        rates[model] = 100 * float((1 / (1 + np.exp(-(by_difficulty * difficulty + own)))).mean())
        slopes[model] = (by_length, by_difficulty, own)
        folder = tmp_path / "results" / model / JUDGE
        folder.mkdir(parents=True)
        (folder / "annotations.json").write_text(json.dumps(wins[model]))
    for path, rows in {
        LEADERBOARD: [",win_rate,mode,length_controlled_winrate"]
        + [f"{model},{alpaca_win_rate(wins[model])},community,{rate}" for model, rate in rates.items()],
        WEIGHTS: [",".join(["", *COLUMNS])] + [",".join([model, *map(str, own)]) for model, own in slopes.items()],
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("\n".join(rows) + "\n")
    every = {model: to_recorded(rows) for model, rows in wins.items()}
    return tmp_path, difficulty, every, {model: dict(zip(COLUMNS, own, strict=True)) for model, own in slopes.items()}


def test_win_rates_are_the_leaderboards(planted):
    found = list(alpaca_figures(planted[0]))
    assert len(found) == len(SHOWN)
    assert [figure.got for figure in found] == pytest.approx([figure.expected for figure in found])


def test_difficulty_is_found_again_from_other_models(planted):
    _, difficulty, every, slopes = planted
    assert instruction_difficulty(every, slopes) == pytest.approx(difficulty, abs=0.05)


def test_the_published_form_is_met_and_extrapolation_is_said(planted, capsys):
    found = {figure.what: figure for figure in length_controlled_figures(planted[0])}
    for model in SHOWN:
        what = f"AlpacaEval 2, {model}, win rate at equal length in %"
        both, alone = found[f"{what}, length and difficulty"], found[f"{what}, length alone"]
        assert both.got == pytest.approx(both.expected, abs=0.5)
        assert alone.expected == both.expected
    assert f"AlpacaEval 2, {GAMED}, win rate at equal length in %, length alone, extrapolated" in found
    assert len(found) == 2 * len(SHOWN) + 2
    main(["--alpaca-eval", str(planted[0])])
    assert "length and difficulty, extrapolated |" in capsys.readouterr().out
