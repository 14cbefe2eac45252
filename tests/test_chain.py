"""The whole chain against the local Hub: run, run again, killed in every stage, and read back by published name."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = [
    "sft.pairs=60",
    "sft.num_train_epochs=4",
    "sft.save_steps=2",
    "preferences.prompts=24",
    "preferences.min_margin=0",
    "dpo.num_train_epochs=2",
    "dpo.per_device_train_batch_size=4",
    "dpo.save_steps=2",
    "eval.prompts=12",
    "eval.distractors=4",
]
STAGES = ("prepare", "base", "sft", "preferences", "dpo", "evaluation")
ADAPTER_FILES = {
    ".gitattributes",
    "README.md",
    "adapter_config.json",
    "adapter_model.safetensors",
    "chat_template.jinja",
    "generation_config.json",
    "lineage.json",
    "losses.png",
    "tokenizer.json",
    "tokenizer_config.json",
}


def command(namespace: str, work: Path, *overrides: str) -> list[str]:
    pipeline = [sys.executable, "-m", "training.pipeline", "--work", str(work)]
    return [*pipeline, f"hub.namespace={namespace}", *SMALL, *overrides]


def run(namespace: str, work: Path, *overrides: str) -> str:
    done = subprocess.run(command(namespace, work, *overrides), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    (work / "said.log").write_text(done.stdout + done.stderr)
    return done.stdout


@pytest.fixture(scope="module")
def chain(hub_url, tmp_path_factory):
    """A namespace with a finished chain, and the work folder that it was made in."""
    namespace, work = "chain", tmp_path_factory.mktemp("work")
    assert "the whole chain" in run(namespace, work)
    return namespace, work


def fresh(code: str) -> str:
    """Runs code in a process that shares nothing with this one but the address of the Hub."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def test_results_stand_in_the_cards_and_verify(chain):
    from huggingface_hub import ModelCard

    for kind in ("sft", "dpo"):
        card = ModelCard.load(f"{chain[0]}/repartee-starter-{kind}")
        assert {result.metric_name for result in card.data.eval_results} >= {"Reply perplexity", "Distinct-2"}
        assert "## Results" in card.text
        assert "| Reply perplexity (per token, lower is better) |" in card.text
    command = [sys.executable, "-m", "hub.lineage", "--verify", f"{chain[0]}/repartee-starter-dpo"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"dataset {chain[0]}/repartee-dialogue" in said
    assert "file repartee-sample" in said
    assert "WRONG" not in said


def test_again_every_stage_is_up_to_date(chain, tmp_path):
    said = run(chain[0], tmp_path)  # another work folder: the Hub alone is the build cache
    assert said.count("up to date") == len(STAGES)
    assert "published" not in said


def test_a_card_alone_makes_nothing_stale(chain, tmp_path):
    from huggingface_hub import HfApi

    HfApi().upload_file(
        path_or_fileobj=b"---\nlicense: other\n---\nA better card.\n",
        path_in_repo="README.md",
        repo_id=f"{chain[0]}/repartee-starter-sft",
    )
    assert run(chain[0], tmp_path).count("up to date") == len(STAGES)


def test_a_dry_run_says_what_would_be_made_and_why(chain, tmp_path):
    from huggingface_hub import HfApi

    said = run("nobody", tmp_path, "--dry-run")
    assert "dataset nobody/repartee-dialogue: would be one commit" in said
    assert "[sft] waits for what is not published yet: /api/models/nobody/repartee-starter" in said
    assert not list(HfApi().list_models(author="nobody"))
    said = run(chain[0], tmp_path, "--dry-run", "dpo.beta=0.3", "eval.seed=7")
    assert "[sft] up to date" in said
    assert f"[dpo] would make model {chain[0]}/repartee-starter-dpo: dpo.beta " in said
    assert "[evaluation] would make dataset" in said


def test_datasets_load_by_name(chain):
    from datasets import load_dataset

    pairs = load_dataset(f"{chain[0]}/repartee-dialogue")
    conversations = load_dataset(f"{chain[0]}/repartee-dialogue", "conversations")
    assert set(pairs) == set(conversations) == {"train", "validation", "test"}
    films = [set(pairs[split]["movie_id"]) for split in pairs]
    assert not films[0] & films[1] and not films[0] & films[2] and not films[1] & films[2]  # noqa: PT018
    row = pairs["train"][0]
    assert [message["role"] for message in row["prompt"] + row["completion"]] == ["system", "user", "assistant"]
    preferences = load_dataset(f"{chain[0]}/repartee-starter-preferences", split="train")
    assert {"prompt", "chosen", "rejected"} <= set(preferences.column_names)
    assert all(row["chosen"] != row["rejected"] for row in preferences)


@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_adapters_answer_from_a_fresh_process(chain, kind):
    said = fresh(f"""
from peft import AutoPeftModelForCausalLM
from transformers import AutoTokenizer
name = "{chain[0]}/repartee-starter-{kind}"
model = AutoPeftModelForCausalLM.from_pretrained(name)
tokenizer = AutoTokenizer.from_pretrained(name)
prompt = tokenizer.apply_chat_template(
    [{{"role": "user", "content": "Where were you last night?"}}],
    add_generation_prompt=True,
    return_tensors="pt",
    return_dict=True,
)
reply = model.generate(**prompt)[0, prompt["input_ids"].shape[1]:]
assert 1 <= len(reply) <= 64
assert len(reply) == 64 or tokenizer.decode(reply[-1:]) == "<|im_end|>", tokenizer.decode(reply)
print(model.peft_config["default"].base_model_name_or_path)
""")
    assert said.strip().endswith(f"{chain[0]}/repartee-starter")


def test_published_trees_are_exact(chain):
    from huggingface_hub import HfApi

    for kind in ("sft", "dpo"):
        assert set(HfApi().list_repo_files(f"{chain[0]}/repartee-starter-{kind}")) - {".gitattributes"} == (
            ADAPTER_FILES - {".gitattributes"}
        )


def test_no_secret_lies_in_any_repository_log_or_card(chain, hub_data):
    """The token that everything was published with is in nothing that the Hub keeps or that was printed."""
    from tests.support.hub_scan import everything

    token, places = os.environ["HF_TOKEN"].encode(), 0
    for place, content in everything(hub_data, chain[1]):
        places += 1
        assert token not in content, place
        assert not re.search(rb"hf_[A-Za-z]{20,}|sk-[A-Za-z0-9]{20,}", content), place
    assert places > 100
    assert any(token in content for _, content in everything(hub_data, chain[1], kept_secrets=True))  # it can find it


def test_hf_command_downloads(chain, tmp_path):
    hf = Path(sys.executable).with_name("hf")
    name = f"{chain[0]}/repartee-starter-dpo"
    subprocess.run([hf, "download", name, "--local-dir", str(tmp_path)], check=True, capture_output=True)
    lineage = json.loads((tmp_path / "lineage.json").read_text())
    assert lineage["stage"] == "dpo"
    assert all(len(source["revision"]) == 40 for source in lineage["inputs"])


def test_killed_in_every_stage_it_ends_with_the_same_artifacts(chain, tmp_path):
    from huggingface_hub import HfApi

    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    for number, _stage in enumerate(STAGES, 1):
        process = subprocess.Popen(
            command("killed", tmp_path), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        assert process.stdout
        for line in process.stdout:
            if line.startswith(f"== {number}/"):
                try:
                    process.wait(timeout=2.5)
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                break
        process.wait()
        process.stdout.close()
    run("killed", tmp_path)
    api = HfApi()
    for name, kind in (
        ("repartee-dialogue", "dataset"),
        ("repartee-starter", "model"),
        ("repartee-starter-sft", "model"),
        ("repartee-starter-preferences", "dataset"),
        ("repartee-starter-dpo", "model"),
        ("repartee-starter-evaluation", "dataset"),
    ):
        trees = [
            {entry.path: entry for entry in api.list_repo_tree(f"{namespace}/{name}", repo_type=kind, recursive=True)}
            for namespace in ("killed", chain[0])
        ]
        assert trees[0].keys() == trees[1].keys(), name
        if name == "repartee-dialogue":
            same = [path for path in trees[0] if path.endswith(".parquet")]
            assert all(trees[0][path].blob_id == trees[1][path].blob_id for path in same)


@pytest.mark.parametrize(
    ("overrides", "environment", "says"),
    [
        (["data.sources=nowhere.zip"], {}, "nowhere.zip"),
        (["sft.lerning_rate=1"], {}, "lerning_rate"),
        (["sft.learning_rate=fast"], {}, "learning_rate"),
        (["hub.namespace=null"], {"HF_TOKEN": "", "HF_TOKEN_PATH": "/nonexistent"}, "HF_TOKEN"),
        ([], {"HF_ENDPOINT": "http://127.0.0.1:9"}, "127.0.0.1:9"),
    ],
)
def test_bad_input_is_one_line_and_a_status(hub_url, tmp_path, overrides, environment, says):
    done = subprocess.run(
        command("bad", tmp_path, *overrides),
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert says in done.stderr.strip().splitlines()[-1]
