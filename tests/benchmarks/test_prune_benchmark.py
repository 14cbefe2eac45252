"""Smoke test of the benchmark of pruning: plumbing at the smallest size, not speed."""

import json
import subprocess
import sys

import pytest

from benchmarks.prune_vocabulary import main
from training.base.publish import publish_base
from training.data.prepare import prepare_dataset
from training.prune import publish_pruned
from training.recipe import load


@pytest.mark.slow
def test_its_last_line_holds_the_figures(namespace, tmp_path):
    recipe = load("training/recipes/starter.yaml", [f"hub.namespace={namespace}", "prune.pairs=2"])
    publish_base(recipe, tmp_path)
    prepare_dataset(recipe, tmp_path)
    publish_pruned(recipe, tmp_path)
    command = [sys.executable, "-m", "benchmarks.prune", "--namespace", namespace, "--size", "starter", "--plain"]
    command += ["--pairs", "2", "--replies", "2", "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.rstrip().endswith("}"), done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert set(figures["bars"]) <= set(figures)
    assert figures["parameters_over_whole"] < 1
    assert figures["engine_bytes_over_whole"] < 1
    assert figures["tokens_per_second_over_whole"] > 0
    assert 0 <= figures["same_greedy_replies_base"] <= 2
    assert done.returncode == (0 if figures["held"] else 1)


def test_fewer_rows_spell_fewer_lines_as_before(namespace, starter, tmp_path, capsys):
    recipe = load("training/recipes/starter.yaml", [f"hub.namespace={namespace}"])
    prepare_dataset(recipe, tmp_path)
    with pytest.raises(SystemExit, match="0"):
        main(["--namespace", namespace, "--tokenizer", str(starter), "--min-counts", "1", "3"])
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["rows_3"] < figures["rows_1"] < figures["tokens"]
    assert 0 < figures["same_3"] < figures["same_1"] < 1
    assert 1 < figures["tokens_1"] < figures["tokens_3"]
