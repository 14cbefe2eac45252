"""Reward model, online RL and the merged export, end to end on a small base against the local Hub."""

import re
from pathlib import Path

import pytest

from tests.training.finetune.test_runs import recipe_of
from training.base import publish
from training.data import prepare
from training.feedback import preferences
from training.finetune import merge, reward, rl, sft
from training.finetune.rl import interval


def test_interval_is_the_normal_one():
    assert interval([1.0, 3.0] * 50) == pytest.approx((2, 2 - 0.19698, 2 + 0.19698), abs=1e-4)


def test_reward_and_rl_publish_and_tell_the_rise(hub_url, tiny_base, tmp_path):
    from huggingface_hub import HfApi, hf_hub_download
    from safetensors.torch import load_file

    from hub.lineage import fetch_lineage

    small = ["rl.prompts=8", "rl.held_out=8", "rl.per_device_train_batch_size=8", "rl.max_completion_length=16"]
    recipe = recipe_of("online", tiny_base, *small)
    for stage in (prepare, publish, sft, preferences, reward, rl):
        stage.STAGE.run(recipe, tmp_path)
    saved = load_file(hf_hub_download(recipe.names.adapter("reward"), "adapter_model.safetensors"))
    assert any("score" in name for name in saved)
    found = fetch_lineage(recipe.names.adapter("rl"), "model")
    assert found
    assert re.search(r"\) in [\d.]+ min after [\d.]+ of the reward model$", found[1].facts["rise over sft by rl"])
    assert not [name for name in HfApi().list_repo_files(recipe.names.adapter("rl")) if name.startswith("ref/")]
    merge.merge_stage("sft").run(recipe, tmp_path)
    card = hf_hub_download(recipe.names.adapter("sft-merged"), "README.md")
    assert "merged into its weights" in Path(card).read_text()


def test_a_merged_model_says_what_base_and_adapter_say(tiny_base, tiny_adapter, tmp_path):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, GenerationConfig

    GenerationConfig(max_new_tokens=64).save_pretrained(tiny_adapter)  # as a published adapter has
    merge.merge(str(tiny_base), "main", tiny_adapter, "main", tmp_path)
    ids = torch.tensor([[1, 300, 2, 400, 1]])  # both ChatML tokens among them
    plain = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
    with torch.no_grad():
        merged = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)(ids).logits
        apart = PeftModel.from_pretrained(plain, tiny_adapter)(ids).logits
    assert (merged - apart).abs().mean() < 0.02 * apart.std()  # the merged weights are rounded to bf16
