"""The whole stage against the local Hub, and the table and the drawing that readers get."""

import json

import pytest

from chat.sampling import Sampling
from eval import evaluation
from eval.plots import metrics_figure
from hub.errors import UserError
from hub.names import Names
from hub.results_table import ROWS, table
from tests.support.in_process import run_main
from training.pipeline import study
from training.recipe import load

ESTIMATE = {"value": 0.5, "low": 0.25, "high": 0.75}


@pytest.fixture
def results():
    variant = dict.fromkeys(ROWS, ESTIMATE) | {"words_10": 1.0, "words_50": 7.0, "words_90": 20.0}
    variant["perplexity"] = {"value": 54.321, "low": 50.0, "high": 60.0}
    return {
        "prompts": 1_200,
        "candidates": 20,
        "voices": {"base": variant, "sft": variant, "dpo": variant},
        "judge": "PMI under the base model",
        "preferred": {"dpo over sft": {"rate": ESTIMATE, "ties": 0.1, "p_value": 0.03}},
        "paired": {"sft - base": {"hits_pmi": {"difference": ESTIMATE, "p_value": 0.01}}},
        "film": {"words_50": 9.0},
    }


def test_the_table(results):
    lines = table(results).splitlines()
    assert lines[:3] == [
        "| 1,200 test prompts | base | fine-tuned | DPO | the films' own |",
        "|---|---:|---:|---:|---:|",
        "| Reply perplexity (per token, lower is better) |" + " 54.3 (50.0 to 60.0) |" * 3 + " - |",
    ]
    assert "| Hits@1/20 by PMI (chance is 5.0%) |" + " 50.0% (25.0% to 75.0%) |" * 3 + " - |" in lines
    assert "| Words, median |" + " 7 |" * 3 + " 9 |" in lines
    preferred = "DPO preferred to fine-tuned by PMI under the base model: 50.0% (25.0% to 75.0%)"
    assert lines[-3] == f"{preferred}, ties (10.0%) counted as half, p = 0.0300"
    assert lines[-1] == (
        "fine-tuned less base on the same prompts: Hits@1/20 by PMI +50.0 points (+25.0 to +75.0), p = 0.0100"
    )
    assert table(json.loads(json.dumps(results))) == table(results)


def test_the_drawing(results, tmp_path):
    content = metrics_figure(results, tmp_path / "new" / "metrics.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    results["voices"]["sft"] = results["voices"]["sft"] | {"stop_rate": {"value": 1.0, "low": 0.9, "high": 1.0}}
    assert metrics_figure(results, tmp_path / "other.png").read_bytes() != content


@pytest.fixture
def published(namespace, starter, adapters, rows, tmp_path):
    """Base, adapters and a dialogue dataset whose test split holds `rows`."""
    from datasets import Dataset
    from huggingface_hub import HfApi

    names, api = Names(namespace, "starter"), HfApi()
    for repo, folder in {
        names.base: starter,
        **{names.adapter(kind): path for kind, path in adapters.items()},
    }.items():
        api.create_repo(repo)
        api.upload_folder(repo_id=repo, folder_path=str(folder), ignore_patterns=["checkpoint.pt"])
    Dataset.from_list(rows).to_parquet(tmp_path / "test.parquet")
    card = b"---\nconfigs:\n- config_name: pairs\n  data_files:\n  - {split: test, path: test.parquet}\n---\n"
    api.create_repo(names.dialogue, repo_type="dataset")
    for path, content in {"test.parquet": tmp_path / "test.parquet", "README.md": card}.items():
        api.upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=names.dialogue, repo_type="dataset")
    return names


def run(names, work, **changes):
    settings = {"prompts": 6, "distractors": 3, "per_film": 20, "seed": 1, "sampling": Sampling(max_new_tokens=8)}
    adapters = {kind: names.adapter(kind) for kind in ("sft", "dpo")}
    asked = evaluation.Study(names, names.base, names.dialogue, adapters, **settings | changes)
    return evaluation.run_evaluation(asked, work)


def test_the_stage(published, rows, tmp_path, capsys):
    from datasets import load_dataset
    from huggingface_hub import HfApi, hf_hub_download

    revision = run(published, tmp_path)
    assert (
        len(HfApi().list_repo_commits(published.evaluation, repo_type="dataset")) <= 2
    )  # one, and the Hub's own first
    files = set(HfApi().list_repo_files(published.evaluation, repo_type="dataset")) - {".gitattributes"}
    assert files == {"README.md", "lineage.json", "metrics.png", "responses/test.parquet", "results.json"}
    responses = load_dataset(published.evaluation, "responses", split="test", revision=revision)
    assert {row["film_reply"] for row in responses} == {row["completion"][0]["content"] for row in rows}
    path = hf_hub_download(published.evaluation, "results.json", repo_type="dataset", revision=revision)
    with open(path) as file:
        results = json.load(file)
    assert results["candidates"] == 4
    for name in ("base", "sft", "dpo"):  # the published rows are what the published figures are made of
        hits = [row[name]["hit_pmi"] for row in responses]
        assert results["voices"][name]["hits_pmi"]["value"] == pytest.approx(sum(hits) / 6)
        stops = [row[name]["ended"] == "<|im_end|>" for row in responses]
        assert results["voices"][name]["stop_rate"]["value"] == pytest.approx(sum(stops) / 6)
    assert table(results) in capsys.readouterr().out
    assert run(published, tmp_path / "elsewhere") == revision
    assert "up to date" in capsys.readouterr().out
    assert not (tmp_path / "elsewhere").exists()


def test_the_base_is_loaded_in_four_bits_where_the_recipe_says_so(published, tmp_path):
    from datasets import load_dataset

    plain, quantized = (
        load_dataset(published.evaluation, "responses", split="test", revision=run(published, tmp_path, four_bit=bits))
        for bits in (False, True)
    )
    before, after = ([row["sft"]["film_reply_nats"] for row in rows] for rows in (plain, quantized))
    assert all(abs(a - b) > 1e-3 for a, b in zip(before, after, strict=True))  # NF4 rounds every weight
    assert after == pytest.approx(before, rel=0.2)
    asked = ["model.four_bit=true", f"hub.namespace={published.namespace}"]
    assert study(load("training/recipes/starter.yaml", asked)).four_bit


def test_an_unknown_judge(published, tmp_path):
    with pytest.raises(UserError, match="oracle"):
        run(published, tmp_path, judge="oracle")


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [(["--prompts", "0"], 2, "above 0"), ([], 1, "404")],
)
def test_bad_input_is_one_line(namespace, arguments, status, says):
    done = run_main(evaluation.main, "--namespace", namespace, *arguments)
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    assert says in done.stderr.strip().splitlines()[-1]
