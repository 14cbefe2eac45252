"""Plots of judges' scores and people's choices."""

from eval import plots
from tests.support.answered import ESTIMATE, VARIANTS


def test_the_drawings(tmp_path):
    facts = {"judge": "j", "means": {"fluency": dict.fromkeys(VARIANTS, ESTIMATE | {"value": 3.0, "high": 3.2})}}
    one = plots.means_figure([facts], {}, tmp_path / "one.png").read_bytes()
    people = {"raters": {"choices": 5, "shares": dict.fromkeys(VARIANTS, ESTIMATE)}}
    assert plots.means_figure([facts], people, tmp_path / "two.png").read_bytes() != one
    assert plots.means_figure([], people, tmp_path / "three.png").read_bytes().startswith(b"\x89PNG")
    rows = [
        {"criterion": "fluency", "voice": variant, "score": None if n == 0 else n / 5}
        for variant in VARIANTS
        for n in range(25)
    ]
    assert plots.distributions_figure("j", rows, tmp_path / "four.png").read_bytes().startswith(b"\x89PNG")
