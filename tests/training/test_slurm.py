"""Slurm scripts: what sbatch reads of them, what they run, and that they go back into the queue.

sbatch, srun and scontrol are stand-ins of our own: no cluster was asked.
"""

import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from hub.errors import UserError
from training.jobs import JOB_STAGES, main
from training.slurm import gpus_of, minutes_of

RECIPE = "training/recipes/qwen2.5-3b.yaml"
OPTIONS = {
    "job-name", "nodes", "ntasks", "gpus", "time", "signal", "requeue", "open-mode", "output"
}  # fmt: skip


def script(capsys, stage, *words):
    kind = ["dpo"] if stage == "merge" else []
    main([stage, "--recipe", RECIPE, "--slurm", *kind, "hub.namespace=me", *words])
    return capsys.readouterr().out


def options(text):
    """The options of a script as sbatch reads them: lines before the first command."""
    found = {}
    for line in text.splitlines()[1:]:
        if not line.startswith("#"):
            break
        if line.startswith("#SBATCH "):
            name, _, value = shlex.split(line.removeprefix("#SBATCH "))[0].removeprefix("--").partition("=")
            found[name] = value
    return found


@pytest.mark.parametrize("stage", JOB_STAGES)
def test_a_script_of_every_stage_is_bash_of_some_twenty_lines(stage, capsys):
    text = script(capsys, stage)
    checked = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert 15 <= len(text.splitlines()) <= 22
    found = options(text)
    assert set(found) == OPTIONS
    assert (found["job-name"], found["time"], found["gpus"]) == (f"repartee-{stage}", "360", "1")
    assert found["signal"] == "B:USR1@120"  # to the script itself, which requeues


@pytest.fixture
def cluster(tmp_path):
    """A folder of stand-ins on the PATH; each writes down what it was called with."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, does in (("srun", 'exec "$@"'), ("scontrol", ":"), ("fakepython", 'test -z "$SLOW" || sleep 5')):
        path = tools / name
        path.write_text(f'#!/bin/bash\necho "$@" >> {tmp_path}/{name}.log\n{does}\n')
        path.chmod(0o755)
    environment = {
        "PATH": f"{tools}:{os.environ['PATH']}", "SLURM_JOB_ID": "17", "SLURM_SUBMIT_DIR": str(tmp_path),
        "PYTHON": str(tools / "fakepython"), "HF_TOKEN": "hf_x", "SLOW": "",
    }  # fmt: skip

    def start(text, **more):
        return subprocess.Popen(["bash"], stdin=open_text(tmp_path, text), env=environment | more, text=True,
                                stderr=subprocess.PIPE)  # fmt: skip

    return start, lambda name: (tmp_path / f"{name}.log").read_text().splitlines()


def open_text(folder: Path, text: str):
    (folder / "script").write_text(text)
    return (folder / "script").open()


def test_it_runs_the_stage_with_its_recipe_and_overrides(cluster, capsys):
    start, calls = cluster
    assert start(script(capsys, "sft", "model.base=a b/$c")).wait(60) == 0
    assert calls("fakepython") == [f"-m training.sft --recipe {RECIPE} hub.namespace=me model.base=a b/$c"]


def test_without_a_token_it_says_so(cluster, capsys):
    start, _ = cluster
    job = start(script(capsys, "sft", "jobs.secrets=[JUDGE_KEY]"))
    assert job.wait(60) != 0
    assert "JUDGE_KEY: export it before sbatch" in job.stderr.read()


def test_before_its_time_is_over_it_goes_back_into_the_queue(cluster, capsys):
    start, calls = cluster
    job = start(script(capsys, "dpo"), SLOW="1")
    for _ in range(600):
        time.sleep(0.1)
        if (Path(job.args[0]) and job.poll() is not None) or called(calls, "fakepython"):
            break
    job.send_signal(signal.SIGUSR1)
    assert job.wait(60) == 0
    assert calls("scontrol") == ["requeue 17"]


def called(calls, name):
    try:
        return bool(calls(name))
    except FileNotFoundError:
        return False


def test_several_gpus_share_what_is_trained_and_a_step_holds_as_many_rows(capsys):
    text = script(capsys, "sft", "jobs.flavor=l4x4", "sft.gradient_accumulation_steps=16")
    assert options(text)["gpus"] == "4"
    (line,) = re.findall(r"^srun .*", text, re.MULTILINE)
    assert (
        "accelerate.commands.launch --config_file training/accelerate/ddp.yaml --num_processes 4 -m training.sft"
        in line
    )
    assert line.endswith("sft.gradient_accumulation_steps=4 &")
    assert options(script(capsys, "preferences", "jobs.flavor=l4x4"))["gpus"] == "1"


@pytest.mark.parametrize(("text", "minutes"), [("30m", 30), ("6h", 360), ("1.5d", 2160), ("90", 2), ("10s", 1)])
def test_times(text, minutes):
    assert minutes_of(text) == minutes


def test_no_time_is_one_line():
    with pytest.raises(UserError, match=r"jobs\.timeout is 'soon'; it takes a time such as 30m, 6h or 1d"):
        minutes_of("soon")


def test_gpus_by_flavor():
    assert [gpus_of(name) for name in ("l4x1", "a100x8", "a10g-small", "h200")] == [1, 8, 1, 1]
