"""The whole chain against the local Hub: run, run again, killed in every stage, and read back by published name."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import warm

SMALL = [
    "sft.pairs=60", "sft.validation_pairs=20", "sft.num_train_epochs=4", "sft.save_steps=2",
    "preferences.prompts=24", "preferences.min_margin=0", "dpo.num_train_epochs=1",
    "dpo.per_device_train_batch_size=4", "dpo.save_steps=2", "eval.prompts=12", "eval.distractors=4",
]  # fmt: skip
pytestmark = pytest.mark.timeout(900)  # the fixture runs the whole chain, and other tests beside it
STAGES = ("prepare", "base", "sft", "preferences", "dpo", "evaluation")
ADAPTER_FILES = {
    ".gitattributes", "README.md", "adapter_config.json", "adapter_model.safetensors", "chat_template.jinja",
    "generation_config.json", "lineage.json", "losses.png", "tokenizer.json", "tokenizer_config.json",
}  # fmt: skip


def arguments(namespace: str, work: Path, *overrides: str) -> list[str]:
    return ["--work", str(work), f"hub.namespace={namespace}", *SMALL, *overrides]


def run(namespace: str, work: Path, *overrides: str) -> str:
    """The chain in a warm process; what it printed."""
    command = warm.run("training.pipeline", arguments(namespace, work, *overrides), work / "said.log")
    assert command.process.exitcode == 0, command.output[-4000:]
    return command.output


@pytest.fixture(scope="module")
def chain(hub_url, tmp_path_factory):
    """A namespace with a finished chain, and the work folder that it was made in: the command as a user starts it."""
    namespace, work = "chain", tmp_path_factory.mktemp("work")
    command = [sys.executable, "-m", "training.pipeline", *arguments(namespace, work)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    (work / "said.log").write_text(done.stdout + done.stderr)
    assert "the whole chain" in done.stdout
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
        assert {result.metric_name for result in card.data.eval_results} >= {
            "Reply loss, text alone",
            "Distinct-2, equal budget",
        }
        assert "## Results" in card.text
        assert "| Reply loss, text alone (nats per byte without the end, lower is better) |" in card.text
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
from transformers import AutoTokenizer, GenerationConfig
name = "{chain[0]}/repartee-starter-{kind}"
model = AutoPeftModelForCausalLM.from_pretrained(name)
tokenizer = AutoTokenizer.from_pretrained(name)
line = [{{"role": "user", "content": "Where were you last night?"}}]
prompt = tokenizer.apply_chat_template(line, add_generation_prompt=True, return_tensors="pt", return_dict=True)
settings = GenerationConfig.from_pretrained(name)
reply = model.generate(**prompt, generation_config=settings)[0, prompt["input_ids"].shape[1]:]
assert 1 <= len(reply) <= 64
assert len(reply) == 64 or int(reply[-1]) in settings.eos_token_id, tokenizer.decode(reply)
print(model.peft_config["default"].base_model_name_or_path)
""")
    assert said.strip().endswith(f"{chain[0]}/repartee-starter")


def test_published_trees_are_exact(chain):
    from huggingface_hub import HfApi

    for kind in ("sft", "dpo"):
        assert set(HfApi().list_repo_files(f"{chain[0]}/repartee-starter-{kind}")) - {".gitattributes"} == (
            ADAPTER_FILES - {".gitattributes"}
        )


def test_no_secret_and_no_address_of_the_day_is_published(chain, hub_data):
    """The token is in nothing that the Hub keeps or that was printed; the Hub's address in no repository."""
    from tests.support.hub_scan import everything

    token, address, places = os.environ["HF_TOKEN"].encode(), os.environ["HF_ENDPOINT"].encode(), 0
    for place, content in everything(hub_data, chain[1]):
        places += 1
        assert not any(word in content for word in ([token, address] if ".git " in place else [token])), place
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


ADAPTERS = ("repartee-starter-sft", "repartee-starter-dpo")
REACHED = {  # what is in the work folder once a stage has work to lose
    "prepare": "prepare-*",
    "sft": "sft-*/checkpoints/checkpoint-*/trainer_state.json",
    "preferences": "preferences-*/*.jsonl",
    "dpo": "dpo-*/checkpoints/checkpoint-*/trainer_state.json",
    "evaluation": "evaluation-*/*.jsonl",
}


def in_stage(command: warm.Command) -> str:
    """The stage that a chain has come to, by what it printed."""
    found = re.findall(r"^== \d/\d (\w+)", command.output, re.MULTILINE)
    return found[-1] if found else ""


def test_killed_in_every_stage_it_ends_with_the_same_artifacts(hub_url, tiny_base, tmp_path_factory):
    """On a base of two layers: what is killed, and what it leaves, is the same as with a large one."""
    from huggingface_hub import HfApi

    unbroken, tmp_path = tmp_path_factory.mktemp("unbroken"), tmp_path_factory.mktemp("killed")
    overrides = [f"model.base={tiny_base}", "dpo.num_train_epochs=2"]  # time to be killed in
    run("unbroken", unbroken, *overrides)
    landed = []
    for stage in STAGES:
        given = arguments("killed", tmp_path, *overrides)
        command = warm.start("training.pipeline", given, tmp_path / f"{stage}.log")

        def reached(stage: str = stage, command: warm.Command = command) -> bool:
            if in_stage(command) != stage:
                return False
            return any(path.stat().st_size for path in tmp_path.glob(REACHED[stage])) if stage in REACHED else True

        command.kill_when(reached)
        landed.append(in_stage(command))
    assert landed == list(STAGES)  # each kill was in its stage, and what came before was not done again
    assert run("killed", tmp_path, *overrides).count("up to date") >= 1
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
            for namespace in ("killed", "unbroken")
        ]
        assert trees[0].keys() == trees[1].keys(), name
        if name == "repartee-dialogue":
            same = [path for path in trees[0] if path.endswith(".parquet")]
            assert all(trees[0][path].blob_id == trees[1][path].blob_id for path in same)
        if name in ADAPTERS:  # trained in several pieces, and in one: the same weights, to the bit
            weights = [tree["adapter_model.safetensors"].lfs.sha256 for tree in trees]
            assert weights[0] == weights[1], name


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
    given = arguments("bad", tmp_path, *overrides)
    if environment:  # which a process reads when it imports huggingface_hub
        command = [sys.executable, "-m", "training.pipeline", *given]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)
        status, output = done.returncode, done.stderr
    else:
        ended = warm.run("training.pipeline", given, tmp_path / "log")
        status, output = ended.process.exitcode, ended.output
    assert status != 0
    assert "Traceback" not in output
    assert says in output.strip().splitlines()[-1]
