"""Agreement: equal to scipy and statsmodels, level by level, and one line for what cannot be read."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from eval import agreement
from eval.agreement import PairedScore
from hub.errors import UserError

SCIPY = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}


@pytest.fixture(scope="module")
def scores():
    """40 items by 3 systems; the judge follows people, coarsely, as judges and people score."""
    chance = np.random.default_rng(2)
    found = []
    for item in range(40):
        for place, system in enumerate(("base", "sft", "dpo")):
            human = int(np.clip(round(chance.normal(2.5 + 0.5 * place, 1)), 1, 5))
            found.append(PairedScore(str(item), system, human, float(np.clip(human + chance.normal(0, 0.8), 1, 5))))
    return found


@pytest.mark.parametrize("measure", agreement.MEASURES)
def test_correlations_equal_scipy_at_every_level(scores, measure):
    def scipy(own):
        return float(SCIPY[measure]([s.human for s in own], [s.judge for s in own]).statistic)

    assert agreement.correlate(scores, measure, "response") == (pytest.approx(scipy(scores), abs=1e-12), 0)
    items = [[s for s in scores if s.item == str(item)] for item in range(40)]
    varied = [own for own in items if len({s.human for s in own}) > 1]
    assert len(varied) < 40  # people often give one score to all three
    value, undefined = agreement.correlate(scores, measure, "item")
    assert value == pytest.approx(np.mean([scipy(own) for own in varied]), abs=1e-12)
    assert undefined == 40 - len(varied)
    systems = [[s for s in scores if s.system == system] for system in ("base", "sft", "dpo")]
    means = [PairedScore("", "", np.mean([s.human for s in own]), np.mean([s.judge for s in own])) for own in systems]
    assert agreement.correlate(scores, measure, "system")[0] == pytest.approx(scipy(means), abs=1e-12)


def test_intervals_are_of_items(scores):
    (value, low, high), undefined = agreement.bootstrap_correlation(scores, "pearson", "response")
    assert low < value < high
    assert undefined == 0
    thrice = [score._replace(item=f"{score.item}") for score in scores for _ in range(3)]
    again = agreement.bootstrap_correlation(thrice, "pearson", "response").estimate
    assert again.high - again.low == pytest.approx(high - low, rel=0.2)  # more rows of the same items tell nothing new


def test_scores_that_do_not_vary_have_no_correlation():
    flat = [PairedScore("a", "x", 3, 1), PairedScore("b", "x", 3, 2)]
    (value, low, high), undefined = agreement.bootstrap_correlation(flat, "kendall", "item")
    assert math.isnan(value)
    assert math.isnan(low)
    assert math.isnan(high)
    assert undefined == 2


def test_the_command_prints_what_it_found(scores, tmp_path):
    path = tmp_path / "scores.jsonl"
    path.write_text("\n".join(json.dumps({**score._asdict(), "criterion": "fluency"}) for score in scores) + "\n")
    command = [sys.executable, "-m", "eval.agreement", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    value = agreement.correlate(scores, "pearson", "response")[0]
    assert f"| fluency | response | 120 | {value:.3f} (" in said
    assert "| fluency | system | 3 |" in said
    path.write_text('{"item": 1}\n')
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: line 1 has no item")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("text", ["", "[]\n", '{"item": 1, "system": 2, "criterion": 3, "human": NaN, "judge": 1}'])
def test_what_is_no_score_is_refused(tmp_path, text):
    (tmp_path / "scores").write_text(text)
    with pytest.raises(UserError):
        agreement.read_score_file(tmp_path / "scores")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_scores_that_a_spreadsheet_saved_again(tmp_path, encoding):
    path = tmp_path / "scores"
    expected = {"fluency": [PairedScore("caf\u00e9", "sft", 4, 3.5)]}
    row = {"item": "caf\u00e9", "system": "sft", "criterion": "fluency", "human": "4.0", "judge": 3.5}
    path.write_bytes(f"{json.dumps(row, ensure_ascii=False)}\r\n".encode(encoding))
    assert agreement.read_score_file(path) == expected
    path.write_bytes("Judge;item;system;human;criterion\r\n3,5;caf\u00e9;sft;4,0;fluency\r\n".encode(encoding))
    assert agreement.read_score_file(path) == expected
    path.write_bytes("item:system:criterion:human:judge\n".encode(encoding))
    with pytest.raises(UserError, match="separated by ':'"):
        agreement.read_score_file(path)
    path.write_bytes(
        'item,system,criterion,human,judge\r\ncaf\u00e9,sft,fluency,"4,0","3,5"\r\n,,,,\r\n'.encode(encoding)
    )
    assert agreement.read_score_file(path) == expected
    path.write_bytes("item,system,criterion,human,judge\ncaf\u00e9,sft,fluency,4,0,3,5\n".encode(encoding))
    with pytest.raises(UserError, match="line 2 has 7 cells, and the first line 5"):  # not 4 and 0
        agreement.read_score_file(path)
    path.write_bytes("item,system,criterion,human,judge\na,b,c,4,\n".encode(encoding))
    with pytest.raises(UserError, match="line 2 has no item"):
        agreement.read_score_file(path)


def test_equal_means_of_systems_are_ties_in_whatever_order_they_are_summed():
    """HANNA's ratings, in thirds: six of 24 published correlations of systems hang on the last bit of a sum."""
    ratings = {"one": [0.1, 0.2, 0.3], "two": [0.3, 0.2, 0.1], "three": [1.0, 1.0, 1.0]}
    scores = [
        PairedScore(str(item), system, human, judge)
        for judge, (system, own) in enumerate(ratings.items())
        for item, human in enumerate(own)
    ]
    assert agreement.correlate(scores, "kendall", "system")[0] == pytest.approx(2 / 6**0.5)  # tau-b: a tie, two agree
