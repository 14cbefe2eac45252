"""HF Jobs: what is sent, and that it runs in a process that has nothing of ours but what the Hub gives it."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError

from hub.deploy import jobs
from hub.errors import UserError
from training.jobs import JOB_STAGES, job_of
from training.pipeline import stages
from training.recipe import load

RECIPE = "training/recipes/starter.yaml"


class Service:
    """Runs a job here and now, and tells of it as HF Jobs does."""

    def __init__(self, folder, stage=None):
        self.folder, self.stage, self.sent = folder, stage, {}

    def run_uv_job(self, script, **sent):
        self.sent = sent
        if self.stage:  # it never got to run
            self.done = subprocess.CompletedProcess(script, 1, "", "")
            return SimpleNamespace(id="j1", url="http://jobs/j1")
        kept = {name: os.environ[name] for name in ("PATH", "HF_ENDPOINT", "HF_HUB_DISABLE_XET")}
        environment = kept | {"HF_HOME": str(self.folder / "home")} | sent["env"] | sent["secrets"]
        self.done = subprocess.run(
            [sys.executable, script], env=environment, cwd=self.folder, capture_output=True, text=True, check=False
        )
        return SimpleNamespace(id="j1", url="http://jobs/j1")

    def fetch_job_logs(self, *, job_id, follow):
        yield from (self.done.stdout + self.done.stderr).splitlines()

    def wait_for_job(self, job_id):
        stage = self.stage or ("ERROR" if self.done.returncode else "COMPLETED")
        return SimpleNamespace(status=SimpleNamespace(stage=stage, message="why" if stage != "COMPLETED" else None))


@pytest.fixture(scope="module")
def namespace(hub_url):
    """One for all jobs here, so that the code is sent once."""
    return "jobs"


@pytest.fixture
def service(monkeypatch, tmp_path):
    found = Service(tmp_path)
    for name in ("run_uv_job", "fetch_job_logs", "wait_for_job"):
        monkeypatch.setattr(HfApi, name, lambda self, *a, called=name, **k: getattr(found, called)(*a, **k))
    return found


def job(namespace, *overrides):
    return job_of("prepare", jobs.ROOT / RECIPE, [f"hub.namespace={namespace}", *overrides])


def test_a_stage_runs_from_what_the_hub_has(service, namespace, capsys, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "never-shown")
    jobs.run_job(job(namespace, "jobs.secrets=[OPENAI_API_KEY]", "jobs.flavor=a10g-small"))
    said = capsys.readouterr().out
    assert f"published {namespace}/repartee-dialogue@" in said
    assert "job j1 completed" in said
    assert HfApi().dataset_info(f"{namespace}/repartee-code").private
    assert (service.sent["flavor"], service.sent["timeout"]) == ("a10g-small", "6h")
    assert service.sent["secrets"] == {"HF_TOKEN": os.environ["HF_TOKEN"], "OPENAI_API_KEY": "never-shown"}
    assert "trl==" in " ".join(service.sent["dependencies"])
    told = json.loads(service.sent["env"]["REPARTEE_JOB"])
    assert (told["module"], len(told["revision"])) == ("training.prepare", 40)
    for value in service.sent["secrets"].values():
        assert value not in said + json.dumps(service.sent["env"])


def test_a_job_that_fails_is_one_line(service, namespace):
    with pytest.raises(UserError, match=r"j1 ended as ERROR \(why\)"):
        jobs.run_job(job(namespace, "data.sources=nowhere.zip"))
    assert "nowhere.zip" in service.done.stderr
    service.stage = "CANCELED"
    with pytest.raises(UserError, match="CANCELED"):
        jobs.run_job(job(namespace))


def test_ctrl_c_leaves_it_running(service, namespace, monkeypatch, capsys):
    def stopped(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(HfApi, "run_uv_job", lambda *a, **k: SimpleNamespace(id="j1", url="u"))
    monkeypatch.setattr(HfApi, "fetch_job_logs", stopped)
    with pytest.raises(KeyboardInterrupt):
        jobs.run_job(job(namespace))
    assert "hf jobs cancel j1" in capsys.readouterr().out


def test_a_preview_sends_nothing_and_shows_no_secret(hub_url, capsys):
    jobs.preview_job(job("preview"))
    said = capsys.readouterr().out
    assert "runs python -m training.prepare --recipe recipe.yaml" in said
    assert "secret HF_TOKEN: ***" in said
    assert os.environ["HF_TOKEN"] not in said
    with pytest.raises(RepositoryNotFoundError):
        HfApi().dataset_info("preview/repartee-code")


def test_what_cannot_be_sent_is_said(namespace, monkeypatch):
    monkeypatch.delenv("NOT_THERE", raising=False)
    with pytest.raises(UserError, match="NOT_THERE"):
        jobs.run_job(job(namespace, "jobs.secrets=[NOT_THERE]"))
    with pytest.raises(UserError, match="no stage"):
        job_of("dance", jobs.ROOT / RECIPE, [])
    with pytest.raises(UserError, match="merge needs the adapter"):
        job_of("merge", jobs.ROOT / RECIPE, ["hub.namespace=ns"])


def test_every_stage_of_the_chain_can_be_sent():
    chain = ["prepare", "base", "sft", "realism", "preferences", "dpo"]
    assert list(JOB_STAGES) == ["pipeline", *chain, "reward", "rl", "merge"]
    for stage in JOB_STAGES:
        kind = ["dpo"] if stage == "merge" else []
        sent = job_of(stage, jobs.ROOT / RECIPE, [*kind, "hub.namespace=ns", "sft.pairs=9"])
        assert sent.module == f"training.{stage}"
        assert sent.arguments == [*kind, "--recipe", "recipe.yaml", "hub.namespace=ns", "sft.pairs=9"]


def test_the_realism_judge_is_a_stage_where_it_labels_or_evaluates():
    for changed in (["preferences.source=realism"], ["eval.judge=realism-held-out"]):
        chain = stages(load(jobs.ROOT / RECIPE, changed))
        assert list(chain) == ["prepare", "base", "sft", "realism", "preferences", "dpo", "evaluation"]
    assert "realism" not in stages(load(jobs.ROOT / RECIPE, []))


def test_shipped_adapters_stay_here(tmp_path):
    root = tmp_path / "adapters"  # a checkout may be called so
    for name in ("requirements.txt", "training/sft.py", "training/adapters/tiny/sft/adapter_model.safetensors"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("a")
    assert set(jobs.code_files(root)) == {"requirements.txt", "training/sft.py"}


def test_the_code_is_ours_and_small():
    files = jobs.code_files()
    assert {
        "training/finetune/sft.py",
        "stats/__init__.py",
        "training/trl_fields.json",
        "hub/templates/adapter.md.jinja",
        "training/recipes/starter.yaml",
    } <= set(files)
    assert not [name for name in files if name.endswith((".pyc", "checkpoint.pt")) or name.startswith("tests")]
    header = jobs.SCRIPT.read_text()
    assert header.startswith("# /// script\n")
    assert next(line for line in jobs.requirements() if line.startswith("huggingface_hub")) in header
