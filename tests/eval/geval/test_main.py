"""Command line of G-Eval: its flags are the judge settings' fields."""

from argparse import Namespace
from dataclasses import fields

import pytest

from eval.geval.__main__ import main, steps_writer
from eval.judge.settings import JudgeSettings, field_docs
from tests.support.in_process import run_main


def test_every_judge_setting_is_a_flag_with_its_docstring():
    shown = " ".join(run_main(main, "--help").stdout.split())
    docs = field_docs(JudgeSettings)
    for field in fields(JudgeSettings):
        assert f"--{field.name.replace('_', '-')}" in shown
        assert " ".join(docs[field.name].split()) in shown
    assert "(default: 64)" in shown
    assert "A score is the probability-weighted mean of the criterion's scale" in shown  # the whole documentation


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--namespace", "n"], "required: --model"),
        (["--namespace", "n", "--model", "m", "--budget", "-1"], "budget is -1.0; it takes a number above 0"),
        (["--namespace", "n", "--model", "m", "--price-in", "1"], "price_in and price_out go together"),
        (["--namespace", "n", "--model", "m", "--base-url", "localhost"], "base_url is localhost; it takes a whole"),
        (
            ["--namespace", "n", "--model", "m", "--steps-model", "x", "--steps-base-url", "y"],
            "base_url is y; it takes",
        ),
        (["--namespace", "n", "--model", "m", "--price", "1", "2"], "--price-in, --price-out"),
        (["--namespace", "n", "--model", "m", "--mass-floor", "50"], "--mass-floor is 50.0; it takes a share"),
        (["--namespace", "n", "--model", "m", "--steps", "s", "--steps-model", "x"], "--steps has steps already"),
    ],
)
def test_bad_flags_are_one_line(arguments, says):
    done = run_main(main, *arguments)
    assert done.returncode == 2
    assert says in done.stderr.strip().splitlines()[-1]


def test_the_steps_model_is_asked_where_the_judge_is_unless_told_otherwise():
    judge = JudgeSettings("small", "http://judge/v1", "KEY", price_in=1.0, price_out=2.0, budget=1.0)
    flags = {"steps_model": "strong", "steps_base_url": None, "steps_key_env": None}
    assert steps_writer(Namespace(**flags), judge) == JudgeSettings("strong", "http://judge/v1", "KEY")
    elsewhere = flags | {"steps_base_url": "http://strong/v1", "steps_key_env": "OTHER"}
    assert steps_writer(Namespace(**elsewhere), judge) == JudgeSettings("strong", "http://strong/v1", "OTHER")
    assert steps_writer(Namespace(**flags | {"steps_model": None}), judge) is None
