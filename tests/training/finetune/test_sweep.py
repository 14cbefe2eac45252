"""A search by two workers on one storage, one of them killed on the way."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from training.base import publish
from training.data import prepare
from training.finetune.sweep import main, suggest_value
from training.recipe import load

TRIALS = 12 if os.environ.get("REPARTEE_PROOF") else 4
TINY = [
    "hub.namespace=sweep", f"sweep.trials={TRIALS}", "sweep.stage=sft", "sft.pairs=24", "sft.step_limit=2",
    "sft.eval_steps=1", "sft.logging_steps=1", "sft.save_strategy=no", "sft.validation_pairs=8",
    "sft.per_device_train_batch_size=1", "sft.load_best_model_at_end=false",
    "sweep.space={sft.learning_rate: [1.0e-5, 1.0e-2, log], model.lora.r: [4, 8]}",
]  # fmt: skip


@pytest.fixture(scope="module")
def inputs(hub_url, tiny_base, tmp_path_factory):
    """The overrides of a search on a small base, whose inputs are published."""
    overrides = [*TINY, f"model.base={tiny_base}"]
    recipe, work = load("training/recipes/starter.yaml", overrides), tmp_path_factory.mktemp("work")
    prepare.STAGE.run(recipe, work)
    publish.STAGE.run(recipe, work)
    return overrides


def worker(folder, number, overrides):
    arguments = ["--storage", f"sqlite:///{folder}/sweep.db", "--work", folder / "work", "--out", folder / "out"]
    arguments += ["--heartbeat", 1]
    log = (folder / f"worker-{number}.log").open("w")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "training.sweep", *map(str, arguments), *overrides]
    return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)


def test_two_workers_share_a_study_and_what_a_dead_one_had_is_repeated(inputs, tmp_path):
    import yaml

    doomed, other = worker(tmp_path, 0, inputs), worker(tmp_path, 1, inputs)
    log = tmp_path / "worker-0.log"
    end = time.monotonic() + 120
    while "[sweep] trial" not in log.read_text() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.3)  # in the middle of its first trial
    doomed.send_signal(signal.SIGKILL)
    doomed.wait()
    assert other.wait(240) == 0, (tmp_path / "worker-1.log").read_text()[-3000:]
    said = (tmp_path / "worker-1.log").read_text()
    lines = re.findall(r"\[sweep\] (trial \d+ (?:complete|pruned|lost).*)", said)
    lost = [line for line in lines if " lost" in line]
    assert len(lost) == 1
    assert re.search(r"trial \d+ lost, repeated as trial \d+", lost[0])
    assert len(lines) - len(lost) == TRIALS
    first, second = re.search(r"trial (\d+) lost, repeated as trial (\d+)", lost[0]).groups()
    values = {line.split()[1]: line.split("  ")[-1] for line in lines}
    assert values[first] == values[second]
    best = yaml.safe_load((tmp_path / "out/best.yaml").read_text())
    assert f"model.lora.r={best['model']['lora']['r']}" in said
    assert 1e-5 <= best["sft"]["learning_rate"] <= 1e-2
    assert (tmp_path / "out/study.png").stat().st_size > 5_000


class Trial:
    def suggest_int(self, name, low, high, log):
        return ("int", low, high, log)

    def suggest_float(self, name, low, high, log):
        return ("float", low, high, log)

    def suggest_categorical(self, name, values):
        return ("one of", values)


def test_what_is_drawn():
    assert suggest_value(Trial(), "a", [1, 8, "log"]) == ("int", 1, 8, True)
    assert suggest_value(Trial(), "a", [0.1, 1, "linear"]) == ("float", 0.1, 1.0, False)
    assert suggest_value(Trial(), "a", [4, 8, 16]) == ("one of", [4, 8, 16])


def test_an_empty_space_is_one_line(inputs, tmp_path, capsys):
    arguments = ["--out", str(tmp_path), "--storage", f"sqlite:///{tmp_path}/s.db"]
    with pytest.raises(SystemExit) as caught:
        main([*arguments, *inputs, "sweep.space={}"])
    assert caught.value.code == 1
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("error: sweep.space is empty")
