"""The whole evaluation on the starter: answered, scored by a stub under SIGKILLs, reported, opened in a browser.

`make proof` does it at full count, 2,000 prompts x 3 variants and 2 controls x 4 criteria; `make test` with 60, of as
few as 20 films.
`REPARTEE_SCREENSHOTS=FOLDER` keeps pictures of the page.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from datasets import Dataset, load_dataset
from huggingface_hub import HfApi

from chat.sampling import Sampling
from chat.template import SYSTEM_PROMPT
from eval import evaluation
from eval.geval.criteria import CRITERIA
from eval.rows import CONTROLS
from hub.lineage import fetch_lineage
from hub.names import Names
from tests.support.two_layers import two_layer_models

PROMPTS, A_FILM, KILLS = (2_000, 10, 3) if os.environ.get("REPARTEE_PROOF") else (60, 3, 1)
VARIANTS = ("base", "sft", "dpo")
CHROMIUM = shutil.which("chromium")


@pytest.fixture
def names(namespace, starter, tmp_path):
    """The starter's first two layers, two adapters, and dialogue whose test split is put together from the sample."""
    found, api = Names(namespace, "starter"), HfApi()
    base, adapters = two_layer_models(starter, tmp_path / "models")
    models = {found.base: base, **{found.adapter(kind): path for kind, path in adapters.items()}}
    for repo, folder in models.items():
        api.create_repo(repo)
        api.upload_folder(repo_id=repo, folder_path=str(folder))
    content = Path("training/sample/movie_lines.txt").read_text("cp1252").splitlines()
    lines = [line.split(" +++$+++ ")[-1] for line in content if line.strip()]
    rows = [
        {
            "prompt": [
                {"role": "system", "content": SYSTEM_PROMPT},
                {"role": "user", "content": f"{lines[n % len(lines)]} {lines[(7 * n + n // len(lines)) % len(lines)]}"},
            ],
            "completion": [{"role": "assistant", "content": lines[(3 * n + 1) % len(lines)]}],
            "movie_id": f"m{n // A_FILM}",
            "movie_title": f"Film {n // A_FILM}",
            "conversation_id": f"c{n}",
            "line_ids": [f"L{2 * n}", f"L{2 * n + 1}"],
        }
        for n in range(PROMPTS)
    ]
    api.create_repo(found.dialogue, repo_type="dataset")
    Dataset.from_list(rows).to_parquet(tmp_path / "test.parquet")
    card = b"---\nconfigs:\n- config_name: pairs\n  data_files:\n  - {split: test, path: test.parquet}\n---\n"
    for path, source in {"test.parquet": tmp_path / "test.parquet", "README.md": card}.items():
        api.upload_file(path_or_fileobj=source, path_in_repo=path, repo_id=found.dialogue, repo_type="dataset")
    return found


def planted(names: Names):
    """An opinion by which DPO is better, but for every tenth film; of base and SFT the one is in every other film."""
    known = {}
    for row in load_dataset(names.evaluation, "responses", split="test"):
        film = int(row["movie_id"][1:])
        swing = 0.1 if film % 2 else -0.1
        for variant, quality in {"base": 0.5 + swing, "sft": 0.5 - swing, "dpo": 0.8 if film % 10 else 0.3}.items():
            known[" ".join(row[variant]["text"].split())] = quality
    return lambda text: known.get(text, 0.5)


@pytest.mark.timeout(3600)
def test_answered_scored_under_kills_reported_and_looked_at(names, served, tmp_path, request):
    adapters = {kind: names.adapter(kind) for kind in ("sft", "dpo")}
    sampling = Sampling(max_new_tokens=8)
    study = evaluation.Study(
        names, names.base, names.dialogue, adapters, PROMPTS, A_FILM, distractors=3, seed=1, sampling=sampling
    )
    evaluation.run_evaluation(study, tmp_path / "work")
    stub, settings = served(opinion=planted(names), latency=0.02)
    where = ["--namespace", names.namespace, "--work", str(tmp_path / "work")]
    asked = ["--model", "stub", "--base-url", settings.base_url, "--key-env", settings.key_env]
    command = [sys.executable, "-m", "eval.geval", *where, *asked]
    count = PROMPTS * (len(VARIANTS) + len(CONTROLS)) * len(CRITERIA)
    for kill in range(1, KILLS + 1):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while stub.calls < kill * count / (KILLS + 2):
                assert process.poll() is None
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert stub.twice() <= KILLS * settings.in_flight
    facts = fetch_lineage(names.geval, "dataset")[1].facts
    assert (facts["scored"], facts["unscored"]) == (count, 0)
    told = int(facts["cost"].split(" calls")[0].replace(",", ""))
    assert 0 < len(stub.seen) - told <= 20  # the probe's questions, and those for the steps

    out = tmp_path / "report"
    command = [sys.executable, "-m", "eval.report", "--namespace", names.namespace, "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((out / "results.json").read_text())["evidence"]
    verdicts = {one["pair"]: one["verdict"] for one in found if one["measure"] == "G-Eval by stub"}
    assert verdicts == {"sft - base": "open", "dpo - sft": "better"}
    assert "report/report.html" in HfApi().list_repo_files(names.evaluation, repo_type="dataset")
    if CHROMIUM:
        looked_at(out / "report.html", request.getfixturevalue("browser"))


def looked_at(path: Path, browser) -> None:
    """Opens the report as a reader would, on a desk and on a phone: nothing is asked of anybody, nothing is cut off."""
    for width in (1280, 360):
        page = browser.new_page(viewport={"width": width, "height": 800})
        requests, errors = [], []
        page.on("request", lambda request, to=requests: to.append(request.url))
        page.on("console", lambda message, to=errors: to.append(message.text))
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
        assert page.locator("img").count() == 4
        assert page.locator("article").count() == 10
        assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
        assert errors == []
        if folder := os.environ.get("REPARTEE_SCREENSHOTS"):
            page.screenshot(path=Path(folder, f"report-{width}.png"), full_page=True)
        page.close()
