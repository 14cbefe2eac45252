"""Plots of judges' scores and people's choices."""

from eval import plots
from tests.support.answered import ESTIMATE, VARIANTS


def test_the_drawings(tmp_path):
    facts = {"judge": "j", "means": {"fluency": dict.fromkeys(VARIANTS, ESTIMATE | {"value": 3.0, "high": 3.2})}}
    one = plots.means_figure([facts], {}, tmp_path / "one.png").read_bytes()
    people = {"raters": {"choices": 5, "shares": dict.fromkeys(VARIANTS, ESTIMATE)}}
    assert plots.means_figure([facts], people, tmp_path / "two.png").read_bytes() != one
    assert plots.means_figure([], people, tmp_path / "three.png").read_bytes().startswith(b"\x89PNG")


def test_the_distributions_follow_the_scale_and_hold_the_controls(tmp_path):
    voices = (*VARIANTS, "film", "shuffled")
    rows = [
        {"criterion": criterion, "voice": variant, "item": n, "score": None if n == 0 else n / 25 * top}
        for criterion, top in (("fluency", 5), ("fit", 1), ("wit", 10))
        for variant in voices
        for n in range(25)
    ]
    facts = {"judge": "j", "criteria": {"fit": {"scale": [0, 1]}, "wit": {"scale": [1, 10]}}}
    for draw in (plots.distributions_figure, plots.boxes_figure):
        made = draw(facts, rows, tmp_path / "one.png").read_bytes()
        assert made.startswith(b"\x89PNG")
        fewer = [row for row in rows if row["voice"] != "shuffled"]
        assert draw(facts, fewer, tmp_path / "two.png").read_bytes() != made
        assert draw({"judge": "j"}, rows, tmp_path / "three.png").read_bytes() != made
