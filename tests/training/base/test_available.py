"""`make demo` takes the first recipe whose base can be had, and says why another was passed over."""

from pathlib import Path

import pytest

from training.base import available

STARTER = Path("training/recipes/starter.yaml")


@pytest.fixture
def recipe(tmp_path):
    def write(substitute):
        path = tmp_path / "tiny.yaml"
        path.write_text(f"model: {{size: tiny, base: someone/tiny, substitute: {substitute}}}\n")
        return path

    return write


def test_the_first_whose_wheel_is_there(recipe, wheel, tmp_path, capsys):
    assert available.first_available([recipe(wheel), STARTER], tmp_path) == recipe(wheel)
    assert capsys.readouterr().err == ""


def test_without_it_one_line_and_the_last(recipe, tmp_path, capsys):
    assert available.first_available([recipe("nowhere.whl"), STARTER], tmp_path) == STARTER
    (line,) = capsys.readouterr().err.splitlines()
    assert "nowhere.whl is no base" in line
    assert line.endswith("taking starter instead of tiny")
