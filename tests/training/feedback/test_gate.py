"""The gate before labelling: who passes, who is refused and with which words, and what is kept for a killed run."""

import json

import pytest

from eval.qualify.card import QualificationCard
from hub.errors import UserError
from hub.lineage import Input
from tests.support.planted import PlantedJudge, film_rows, takes_echo, takes_first
from training.feedback import pair_sources
from training.feedback.gate import CARD, pass_gate
from training.feedback.pair_sources import SamplingContext
from training.recipe_preferences import Preferences

DIALOGUE = Input("n/d", "dataset", "r" * 40, "c")
ROWS = film_rows(8, 20)
SETTINGS = Preferences(qualification_pairs=100)


@pytest.fixture(autouse=True)
def films(monkeypatch):
    monkeypatch.setattr("training.feedback.gate.split_rows", lambda dialogue, split: ROWS)


def test_a_good_judge_passes_and_its_card_is_kept(tmp_path, capsys):
    card = pass_gate(PlantedJudge(ROWS, takes_first, 0.0), SETTINGS, DIALOGUE, tmp_path)
    assert card.qualified
    assert QualificationCard.from_json(json.loads((tmp_path / CARD).read_text())) == card
    said = capsys.readouterr().out
    assert "8 validation films: QUALIFIED" in said
    assert "| shuffled | 100.0%" in said
    silent = PlantedJudge(ROWS, takes_first, 0.0)
    silent.compare = None  # a killed run carries on: nobody is asked again
    assert pass_gate(silent, SETTINGS, DIALOGUE, tmp_path) == card


def test_one_that_fails_is_refused_in_one_line_with_the_control_and_the_cure(tmp_path):
    judge = PlantedJudge(ROWS, takes_echo, 1.0)
    for _ in range(2):  # from the kept card too
        with pytest.raises(UserError) as caught:
            pass_gate(judge, SETTINGS, DIALOGUE, tmp_path)
        said = str(caught.value)
        assert "\n" not in said
        failed = "film over echoing: 0.0% (0.0% to 0.0%), the floor is 50%"
        assert said.startswith(f"planted 1.0 does not qualify to label ({failed}")
        assert said.endswith("name another judge, or set preferences.allow_unqualified: true")
    allowed = pass_gate(judge, Preferences(allow_unqualified=True), DIALOGUE, tmp_path)
    assert not allowed.qualified


def test_nothing_is_sampled_for_a_judge_that_may_not_label(tmp_path, monkeypatch):
    monkeypatch.setattr(pair_sources, "open_judges", lambda *_: [PlantedJudge(ROWS, takes_echo, 1.0)])
    for name in ("seeded_prompts", "sample_replies"):
        monkeypatch.setattr(pair_sources, name, lambda *_: pytest.fail("sampled"))
    context = SamplingContext(DIALOGUE, DIALOGUE, DIALOGUE, None, tmp_path)
    with pytest.raises(UserError, match="does not qualify"):
        pair_sources.from_judge(SETTINGS, (None, None), context, tmp_path / "judge.sqlite")
