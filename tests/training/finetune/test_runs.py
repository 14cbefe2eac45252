"""Whole runs of SFT and DPO on a small base: killed and resumed, and everything that ends one in a line."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import ANY

import pytest
import torch

from hub.errors import UserError, explain
from hub.lineage import pin
from training.base import publish
from training.data import prepare
from training.feedback import preferences
from training.finetune import dpo, sft
from training.finetune.preference_pairs import split, text_similarity
from training.recipe import load
from training.stage import base_input

SMALL = [
    "sft.pairs=60", "sft.step_limit=6", "sft.save_steps=2", "sft.logging_steps=1", "sft.eval_steps=2",
    "sft.validation_pairs=20", "sft.per_device_train_batch_size=1", "preferences.prompts=16",
    "preferences.min_margin=0", "dpo.max_steps=6", "dpo.per_device_train_batch_size=2", "dpo.save_steps=2",
    "model.lora.r=4", "model.lora.alpha=8", "dpo.max_similarity=1",
]  # fmt: skip
STARTER = "training/recipes/starter.yaml"


def recipe_of(namespace, base, *overrides):
    """The starter's recipe on another base, with few rows and steps."""
    return load(STARTER, [f"hub.namespace={namespace}", f"model.base={base}", *SMALL, *overrides])


@pytest.fixture(scope="module")
def made(hub_url, tiny_base, tmp_path_factory):
    """Everything up to a preference set, published; and the pinned inputs of both trainings."""
    recipe, work = recipe_of("runs", tiny_base), tmp_path_factory.mktemp("work")
    for stage in (prepare, publish, sft, preferences):
        stage.STAGE.run(recipe, work)
    names = recipe.names
    return SimpleNamespace(
        folder=str(tiny_base),
        recipe=recipe,
        base=base_input(recipe),
        dialogue=pin(names.dialogue, "dataset"),
        sft=pin(names.adapter("sft"), "model"),
        preferences=pin(names.preferences, "dataset"),
    )


def train(made, stage, folder, *overrides, callbacks=()):
    recipe = recipe_of("runs", made.folder, *overrides)
    if stage == "sft":
        return sft.train_sft(recipe, made.base, made.dialogue, folder, callbacks)
    return dpo.train_dpo(recipe, made.base, made.sft, made.preferences, folder, callbacks)


def logged(folder):
    """Loss by step, as the checkpoint of the last step says."""
    history = json.loads((folder / "checkpoints/checkpoint-6/trainer_state.json").read_text())["log_history"]
    return {entry["step"]: entry["loss"] for entry in history if "loss" in entry}


@pytest.mark.parametrize("stage", ["sft", "dpo"])
def test_killed_and_resumed_is_the_unbroken_run(made, tmp_path, stage):
    train(made, stage, tmp_path / "whole")
    code = (
        "import time; from pathlib import Path; from types import SimpleNamespace\n"
        "from transformers import TrainerCallback\n"
        "from hub.lineage import Input; from tests.training.finetune.test_runs import train\n"
        "class Hold(TrainerCallback):\n"
        "    def on_save(self, args, state, control, **_): time.sleep(600)\n"
        f"made = SimpleNamespace(folder={made.folder!r}, base={made.base!r}, dialogue={made.dialogue!r}, "
        f"sft={made.sft!r}, preferences={made.preferences!r})\n"
        f"train(made, {stage!r}, Path({str(tmp_path / 'killed')!r}), callbacks=[Hold()])\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    child = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.DEVNULL)
    checkpoint = tmp_path / "killed" / "checkpoints" / "checkpoint-2"
    while not (checkpoint / "trainer_state.json").exists():
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (tmp_path / "killed" / "adapter").exists()
    files, facts = train(made, stage, tmp_path / "killed")
    whole, resumed = logged(tmp_path / "whole"), logged(tmp_path / "killed")
    assert whole.keys() == resumed.keys() == set(range(1, 7))
    assert abs(whole[6] - resumed[6]) < 1e-5
    assert facts["steps"] == 6
    assert set(files) == {
        "adapter_config.json", "adapter_model.safetensors", "chat_template.jinja", "generation_config.json",
        "losses.png", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip


@pytest.mark.parametrize("stage", ["sft", "dpo"])
def test_a_finished_run_is_not_trained_on(made, tmp_path, stage):
    short = (f"{stage}.{'step_limit' if stage == 'sft' else 'max_steps'}=2",)
    files, facts = train(made, stage, tmp_path, *short)
    before = files["adapter_model.safetensors"].read_bytes()
    files, again = train(made, stage, tmp_path, *short)
    assert (again["steps"], again["mean train loss"]) == (facts["steps"], facts["mean train loss"]) == (2, ANY)
    assert files["adapter_model.safetensors"].read_bytes() == before


def test_sft_tells_its_validation_loss_and_dpo_its_rewards_and_lengths(made, tmp_path):
    _, facts = train(made, "sft", tmp_path / "sft")
    assert 0 < facts["validation loss"] < 20
    overrides = ("dpo.validation_pairs=3", 'dpo.loss_type=["sigmoid","sft"]', "dpo.ld_alpha=0.5")
    _, facts = train(made, "dpo", tmp_path / "dpo", *overrides)
    assert facts["loss type"] == "sigmoid+sft"
    assert facts["ld_alpha"] == 0.5
    for name in ("chosen", "rejected"):
        assert facts[f"tokens of {name} replies, mean"] > 1
        assert facts[f"reward of {name}, first to last step"].startswith("0.0 to ")
    assert {"reward margin, first to last step", "held-out reward accuracy", "held-out loss"} <= facts.keys()


def test_length_normalised_dpo_starts_at_ln_2(made, tmp_path):
    train(made, "dpo", tmp_path, "dpo.loss_type=[sigmoid_norm]", "dpo.logging_steps=1")
    assert abs(logged(tmp_path)[1] - math.log(2)) < 1e-4


def test_nan_is_a_line_and_the_good_checkpoint_stays(made, tmp_path):
    with pytest.raises(UserError, match=r"at step \d+; set a lower learning_rate") as caught:
        train(made, "sft", tmp_path, "sft.learning_rate=1e30", "sft.max_grad_norm=0", "sft.save_steps=1")
    assert "\n" not in str(caught.value)
    for checkpoint in (tmp_path / "checkpoints").glob("checkpoint-*"):
        from safetensors.torch import load_file

        weights = load_file(checkpoint / "adapter_model.safetensors").values()
        assert all(bool(torch.isfinite(weight).all()) for weight in weights)


def test_a_full_disk_is_a_line_and_the_good_checkpoint_stays(made, tmp_path, monkeypatch):
    real = torch.save

    def full(content, path, *rest, **more):
        if "checkpoint-4" in str(path):
            raise OSError(28, "No space left on device", str(path))
        return real(content, path, *rest, **more)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left") as caught:
        train(made, "sft", tmp_path)
    assert "the disk is full" in str(explain(caught.value))
    monkeypatch.undo()
    assert (tmp_path / "checkpoints/checkpoint-2/trainer_state.json").exists()
    _, facts = train(made, "sft", tmp_path)
    assert facts["steps"] == 6


def test_a_missing_split_is_a_line(made, tmp_path, namespace):
    from datasets import load_dataset

    name = f"{namespace}/repartee-dialogue"
    load_dataset(made.dialogue.repo, "pairs", split="train").push_to_hub(name, "pairs", split="train")
    with pytest.raises(UserError, match=r"has no split validation; .*eval_strategy=no"):
        sft.train_sft(made.recipe, made.base, pin(name, "dataset"), tmp_path)


def test_preferences_of_another_base_are_refused(made, tmp_path):
    other = replace(made.base, repo="someone/other", revision="f" * 40, content="other")
    with pytest.raises(UserError, match=r"was made with runs/repartee-starter@.*, not with someone/other"):
        dpo.train_dpo(made.recipe, other, made.sft, made.preferences, tmp_path)


def test_an_adapter_of_another_rank_is_refused(made, tmp_path):
    with pytest.raises(UserError, match=r"has LoRA rank 4, alpha 8, the recipe says 16, 8"):
        train(made, "dpo", tmp_path, "model.lora.r=16")


def test_too_long_prompts_are_counted_and_all_of_them_a_line(made, tmp_path):
    with pytest.raises(UserError, match="every pair is longer than max_length=8"):
        train(made, "sft", tmp_path, "sft.max_length=8")
    with pytest.raises(UserError, match=r"none of \d+ preference pairs is left"):
        train(made, "dpo", tmp_path, "dpo.max_length=8")


def test_a_plan_that_cannot_fit_ends_before_the_weights_are_loaded(made, tmp_path):
    with pytest.raises(UserError, match=r"the plan needs about .* and there are 0\.1"):
        train(made, "sft", tmp_path, "model.memory_gb=0.1")


def test_near_identical_pairs_are_dropped():
    def row(chosen, rejected):
        return {"chosen": [{"content": chosen}], "rejected": [{"content": rejected}]}

    assert text_similarity(row("Sit  down.", "sit down.")) == 1
    assert 0.9 < text_similarity(row("I never saw him before.", "I never saw him before!")) < 1
    assert text_similarity(row("Who sent you?", "Nobody. I came alone.")) < 0.5


def test_held_out_pairs_are_never_trained_on():
    train_rows, held_out = split(list(range(20)), 5, seed=1)
    assert sorted(train_rows + held_out) == list(range(20))
    assert split(list(range(20)), 5, seed=1)[1] == held_out
    with pytest.raises(UserError, match="hold out fewer"):
        split([1, 2], 2, seed=1)
