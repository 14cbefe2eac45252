"""A search by two workers on one storage, one of them killed on the way."""

import math
import os
import re
import signal
import subprocess
import sys
import time
from random import Random
from statistics import median

import pytest

from hub.lineage import pin
from tests.support.postgres import running_postgres
from training.base import publish
from training.data import prepare
from training.finetune import sweep, sweep_study
from training.finetune.sweep import main, suggest_value
from training.recipe import load
from training.stage import base_input

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


def worker(folder, storage, number, overrides):
    arguments = ["--storage", storage, "--work", folder / "work", "--out", folder / "out", "--heartbeat", 1]
    log = (folder / f"worker-{number}.log").open("w")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "training.sweep", *map(str, arguments), *overrides]
    return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)


def one_of_two_is_killed(storage, overrides, folder):
    """Two workers share a study; one is killed in its first trial, which the other repeats."""
    import yaml

    doomed, other = worker(folder, storage, 0, overrides), worker(folder, storage, 1, overrides)
    log = folder / "worker-0.log"
    end = time.monotonic() + 240
    while "[sweep] trial" not in log.read_text() and doomed.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.3)  # in the middle of its first trial
    doomed.send_signal(signal.SIGKILL)
    doomed.wait()
    assert other.wait(600) == 0, (folder / "worker-1.log").read_text()[-3000:]
    said = (folder / "worker-1.log").read_text()
    lines = re.findall(r"\[sweep\] (trial \d+ (?:complete|pruned|lost).*)", said)
    lost = [line for line in lines if " lost" in line]
    assert len(lost) == 1
    assert re.search(r"trial \d+ lost, repeated as trial \d+", lost[0])
    assert len(lines) - len(lost) == TRIALS
    first, second = re.search(r"trial (\d+) lost, repeated as trial (\d+)", lost[0]).groups()
    values = {line.split()[1]: line.split("  ")[-1] for line in lines}
    assert values[first] == values[second]
    best = yaml.safe_load((folder / "out/best.yaml").read_text())
    assert f"model.lora.r={best['model']['lora']['r']}" in said
    assert 1e-5 <= best["sft"]["learning_rate"] <= 1e-2
    assert (folder / "out/study.png").stat().st_size > 5_000
    assert (folder / "out/study.md").read_text().count("\n| ") == TRIALS


@pytest.mark.timeout(900)
def test_two_workers_share_a_study_and_what_a_dead_one_had_is_repeated(inputs, tmp_path):
    one_of_two_is_killed(f"sqlite:///{tmp_path}/sweep.db", inputs, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_workers_share_a_study_on_a_postgresql_server(inputs, tmp_path):
    """A server of its own, from Debian's package; each worker talks to it over TCP, as from another machine."""
    with running_postgres() as address:
        one_of_two_is_killed(address, inputs, tmp_path)


@pytest.fixture
def searched(inputs, tmp_path, monkeypatch, capsys):
    """A search of 12 trials of 12 steps in this process, its sampler seeded; the study."""
    import optuna

    create = optuna.create_study
    sampler = optuna.samplers.TPESampler(seed=1)
    monkeypatch.setattr(optuna, "create_study", lambda **options: create(**options, sampler=sampler))
    storage = f"sqlite:///{tmp_path}/sweep.db"
    main(["--storage", storage, "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out"), *inputs, *LONGER])
    return optuna.load_study(study_name="repartee", storage=storage)


LONGER = [
    "sweep.trials=12", "sft.step_limit=12", "sft.pairs=60",
    "sweep.space={sft.learning_rate: [1.0e-4, 1.0, log], model.lora.r: [4, 8]}",
]  # fmt: skip
"""Rates of which the lowest learn nothing and the highest diverge, as where a search begins."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_stopping_what_falls_behind_saves_a_quarter_and_loses_nothing(searched, inputs, tmp_path):
    """Of the steps of all 12 trials to their end; each stopped one, trained to its end, is no better than the best."""
    taken, whole = sweep_study.steps_saved(searched)
    assert whole == 144
    assert f"{taken} of 144 steps were taken" in (tmp_path / "out/study.md").read_text()
    recipe = load("training/recipes/starter.yaml", inputs)
    pinned = [base_input(recipe), *(pin(*source) for source in sweep.sweep_inputs(recipe))]
    stopped = [trial for trial in searched.trials if trial.state.name == "PRUNED"]
    assert stopped
    for trial in stopped:
        drawn = [f"{name}={value}" for name, value in trial.params.items()]
        to_its_end = load("training/recipes/starter.yaml", [*inputs, *LONGER, *sweep.measured(recipe), *drawn])
        score = sweep.trial_score(Unhurried(), to_its_end, pinned, tmp_path / f"again-{trial.number}")
        assert score > searched.best_value - 0.01
    assert taken <= whole * 3 / 4  # 99 of 144 where this was written: a third is missed by three steps


def simulated(seed):
    """A search of 12 trials over a rate whose best is in the middle; the share of measurements saved, and what was lost
    against the best trial of all, in nats."""
    import optuna

    rng, ends, taken = Random(seed), {}, 0
    sampler = optuna.samplers.TPESampler(seed=seed)
    study = optuna.create_study(direction="minimize", pruner=sweep.stopping(), sampler=sampler)

    def objective(trial):
        nonlocal taken
        off = math.log10(trial.suggest_float("rate", 1e-5, 1e-2, log=True)) + 3
        end = ends[trial.number] = 3.2 + 0.25 * off**2 + 0.02 * (trial.suggest_categorical("r", [4, 8]) == 4)
        for check in range(1, 6):
            taken += 1
            trial.report(end + 0.6 * math.exp(-check / 2) * (1 - 0.2 * off) + rng.gauss(0, 0.01), check)
            if trial.should_prune() and check < 5:
                raise optuna.TrialPruned
        return end

    study.optimize(objective, n_trials=12)
    return 1 - taken / 60, ends[study.best_trial.number] - min(ends.values())


def test_stopping_saves_a_third_in_simulated_searches():
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    saved, lost = zip(*map(simulated, range(12)), strict=True)
    assert median(saved) >= 1 / 3
    assert median(lost) == 0
    assert max(lost) < 0.05


class Unhurried:
    """A trial that nobody stops."""

    def set_user_attr(self, name, value): ...

    def report(self, value, step): ...

    def should_prune(self):
        return False


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


def test_dpo_without_held_out_pairs_is_one_line(inputs, tmp_path, capsys):
    arguments = ["--out", str(tmp_path), "--storage", f"sqlite:///{tmp_path}/s.db"]
    with pytest.raises(SystemExit):
        main([*arguments, *inputs, "sweep.stage=dpo", "dpo.validation_pairs=null"])
    assert "set dpo.validation_pairs" in capsys.readouterr().err.strip().splitlines()[-1]
