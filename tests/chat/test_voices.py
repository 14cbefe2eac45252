"""Loading: one base, adapters with trained tokens, four bits, and what the lineage says."""

import json
import shutil

import pytest
import torch
from peft import LoraConfig, get_peft_model
from scenes import asked, hooks
from transformers import AutoModelForCausalLM, StoppingCriteria, StoppingCriteriaList

from chat import variants as chat_voices
from chat.generate import generate, sample
from chat.sampling import Sampling

GREEDY = Sampling(temperature=0, max_new_tokens=8)


def test_one_base_and_two_adapters(voices):
    assert voices.names == ("base", "sft", "dpo")
    assert voices.context_turns == 1
    assert not voices.model.training
    assert sum(parameter.numel() for parameter in voices.model.parameters()) < 17e6  # one base, not three
    assert {parameter.dtype for parameter in voices.model.parameters()} == {torch.float32}
    assert voices.adapter_names(["base", "dpo"]) == {"adapter_names": ["__base__", "dpo"]}
    with pytest.raises(ValueError, match="no voice called rlhf; there are base, sft, dpo"):
        voices.adapter_names(["base", "rlhf"])


def test_the_base_alone_is_a_plain_model(starter):
    voices = chat_voices.load_variants(str(starter), {})
    assert type(voices.model).__name__ == "Qwen2ForCausalLM"
    assert generate(voices, asked("Hi."), ["base"], GREEDY)[0].tokens >= 1


def test_bfloat16_adapters_stay_bfloat16(starter, adapters):
    voices = chat_voices.load_variants(str(starter), adapters, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in voices.model.parameters()} == {torch.bfloat16}
    assert len(generate(voices, asked("Hi.") * 3, list(voices.names), GREEDY)) == 3


def test_four_bits(starter, adapters):
    voices = chat_voices.load_variants(str(starter), adapters, four_bit=True)
    layer = voices.model.get_base_model().model.layers[0].mlp.up_proj.base_layer
    assert type(layer).__name__ == "Linear4bit"
    assert layer.weight.quant_type == "nf4"
    assert len(generate(voices, asked("Hi.") * 3, list(voices.names), GREEDY)) == 3


def test_context_turns_come_from_the_lineage(starter, adapters, tmp_path):
    folders = {name: str(tmp_path / name) for name in adapters}
    for name, folder in folders.items():
        shutil.copytree(adapters[name], folder)
    (tmp_path / "sft" / "lineage.json").write_text(json.dumps({"facts": {"context_turns": 3}}))
    (tmp_path / "dpo" / "lineage.json").write_text(json.dumps({"facts": {"context_turns": 2}}))
    assert chat_voices.load_variants(str(starter), folders).context_turns == 2  # what all of them can read
    (tmp_path / "dpo" / "lineage.json").write_text(json.dumps({"stage": "dpo"}))
    assert chat_voices.load_variants(str(starter), folders).context_turns == 1


def test_the_base_s_own_generation_config_is_not_our_sampling(starter, voices, tmp_path):
    for file in starter.iterdir():
        if file.name != "generation_config.json":
            (tmp_path / file.name).symlink_to(file)
    (tmp_path / "generation_config.json").write_text(json.dumps({"repetition_penalty": 9.0, "min_new_tokens": 7}))
    penalised = chat_voices.load_variants(str(tmp_path), {})
    prompts = asked("No. No. No. No.", "Where were you?")
    expected = generate(voices, prompts, ["base"] * 2, GREEDY)
    assert generate(penalised, prompts, ["base"] * 2, GREEDY) == expected


def test_adapters_that_cannot_be_mixed_are_refused(starter, adapters, tmp_path):
    base = AutoModelForCausalLM.from_pretrained(starter)
    get_peft_model(base, LoraConfig(r=2, target_modules="all-linear")).save_pretrained(tmp_path)
    for trained, plain in (("sft", "dpo"), ("dpo", "sft")):
        with pytest.raises(ValueError, match=f"{trained} has trained tokens and {plain} has none"):
            chat_voices.load_variants(str(starter), adapters | {plain: str(tmp_path)})


class Failing(StoppingCriteria):
    def __call__(self, input_ids, scores, **kwargs):
        raise MemoryError("out of memory")


def test_a_failed_batch_leaves_nothing_behind(voices):
    prompts = asked("Where were you?", "No.", "Get out.")
    expected = generate(voices, prompts, list(voices.names), GREEDY)
    with pytest.raises(MemoryError):
        sample(voices, [[1, 5]], ["sft"], GREEDY, 0, stopping_criteria=StoppingCriteriaList([Failing()]))
    assert hooks(voices) == 0
    assert generate(voices, prompts, list(voices.names), GREEDY) == expected
