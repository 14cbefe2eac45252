"""Command line of G-Eval: its flags are the judge settings' fields."""

from dataclasses import fields

import pytest

from eval.geval.__main__ import main
from eval.judge.settings import JudgeSettings, field_docs
from tests.support.in_process import run_main


def test_every_judge_setting_is_a_flag_with_its_docstring():
    shown = " ".join(run_main(main, "--help").stdout.split())
    docs = field_docs(JudgeSettings)
    for field in fields(JudgeSettings):
        assert f"--{field.name.replace('_', '-')}" in shown
        assert " ".join(docs[field.name].split()) in shown
    assert "(default: 64)" in shown
    assert "A score is the probability-weighted mean of 1 to 5" in shown  # the whole documentation


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--namespace", "n"], "required: --model"),
        (["--namespace", "n", "--model", "m", "--budget", "-1"], "budget is -1.0; it takes a number above 0"),
        (["--namespace", "n", "--model", "m", "--price-in", "1"], "price_in and price_out go together"),
        (["--namespace", "n", "--model", "m", "--price", "1", "2"], "--price-in, --price-out"),
    ],
)
def test_bad_flags_are_one_line(arguments, says):
    done = run_main(main, *arguments)
    assert done.returncode == 2
    assert says in done.stderr.strip().splitlines()[-1]
