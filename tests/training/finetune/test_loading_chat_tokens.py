"""ChatML's tokens of a base that has none, or whose head is untied: added, trained in all rows, read by everyone."""

import pytest
import torch
from peft import AutoPeftModelForCausalLM, PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, SFTConfig

from chat.engine.transformers_engine import open_local_engine
from chat.generate import generate
from chat.sampling import Sampling
from chat.template import START, STOP, encode_prompt, load_tokenizer
from chat.variants import ModelRef, load_variants
from tests.support.models import refs, tiny_model, without_chat_tokens
from tests.support.scenes import user_prompts
from tests.training.finetune.test_loading import READY, TALK, arguments, pairs
from training.data import packing
from training.finetune import loading
from training.finetune.dpo import build_dpo_trainer
from training.finetune.merge import merge
from training.finetune.preference_pairs import render_preference
from training.finetune.sft import build_sft_trainer
from training.finetune.trl_compat import patch_for_trl
from training.recipe_schema import Lora, Model

GREEDY = Sampling(temperature=0, max_new_tokens=6)
BASES = {
    "no rows to spare": ("llama", {}, 8194),
    "rows to spare": ("qwen2", {"vocab_size": 8200}, 8200),
    "tied": ("llama", {"tie_word_embeddings": True}, 8194),
    "other names": ("gpt_neox", {"rotary_pct": 1.0}, 8194),
}


@pytest.fixture(scope="module", params=BASES)
def trained(request, tmp_path_factory):
    """Base, adapter after three steps, the model that was trained, and how many rows it has."""
    folder = tmp_path_factory.mktemp("trained")
    kind, settings, rows = BASES[request.param]
    base = without_chat_tokens(tiny_model(kind, folder / "base", **settings))
    tokenizer = load_tokenizer(base, None)
    torch.manual_seed(0)
    model = loading.add_lora(loading.load_base(base, "main", Model()), tokenizer, Lora(r=4, alpha=8))
    encoded = packing.encode(tokenizer, pairs(), 512)
    settings = arguments(SFTConfig, folder, packing=True, max_steps=3, learning_rate=1e-2, **READY)
    build_sft_trainer(model, tokenizer, settings, encoded, packing.examples(encoded, settings)).train()
    loading.save_adapter(model, tokenizer, folder / "sft")
    return base, str(folder / "sft"), model.eval(), rows


def logits_of(model, tokenizer):
    ids = torch.tensor([encode_prompt(tokenizer, user_prompts("Where were you?")[0])])
    with torch.inference_mode():
        return model(input_ids=ids).logits[0].float()


def test_all_rows_of_the_tokens_are_trained_and_nothing_else_is_saved_of_the_base(trained):
    _, adapter, model, rows = trained
    ids = load_tokenizer(adapter, None).convert_tokens_to_ids([START, STOP])
    assert ids == [8192, 8193]
    tensors = {
        name: value for name, value in load_file(f"{adapter}/adapter_model.safetensors").items() if "lora_" not in name
    }
    layers = {model.get_input_embeddings(), model.get_output_embeddings()}
    untied = {layer for layer in layers if layer.token_adapter.tied_adapter is None}
    assert len(tensors) == len(untied)
    assert {tuple(value.shape) for value in tensors.values()} == {(2, 64)}
    for layer in untied:
        assert layer.original_module.weight.shape[0] == rows
        changed = layer.token_adapter.trainable_tokens_delta["default"] - layer.original_module.weight[ids]
        assert changed.abs().amax(1).min() > 1e-3, "both rows have moved"


def test_peft_reads_the_adapter_on_the_base(trained):
    """As the card says: AutoPeft makes room by itself; a base that is loaded first is resized to the tokenizer."""
    base, adapter, model, _ = trained
    tokenizer = AutoTokenizer.from_pretrained(adapter)
    expected = logits_of(model, tokenizer)
    plain = AutoModelForCausalLM.from_pretrained(base)
    if len(tokenizer) > plain.get_input_embeddings().num_embeddings:
        plain.resize_token_embeddings(len(tokenizer))
    for again in (AutoPeftModelForCausalLM.from_pretrained(adapter), PeftModel.from_pretrained(plain, adapter)):
        found = logits_of(again.eval(), tokenizer)
        torch.testing.assert_close(found, expected, atol=0.02 * float(expected.abs().max()), rtol=0)


def test_the_page_s_engine_and_the_merged_model_say_the_same(trained, tmp_path):
    base, adapter, _, _ = trained
    variants = load_variants(ModelRef(base), refs({"sft": adapter, "dpo": adapter}))
    prompts = user_prompts("Where were you?", "No.", "Who sent you?")
    merge(base, None, adapter, None, tmp_path)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    engine = open_local_engine(variants, "float32")
    try:
        *_, rows = engine.stream(prompts, ["sft", "base", "dpo"], GREEDY)
    finally:
        engine.close()
    by_peft = generate(variants, prompts, ["sft", "base", "dpo"], GREEDY)
    assert [row.text for row in rows] == [reply.text for reply in by_peft]
    found = logits_of(merged, variants.tokenizer)
    with variants.exclusive() as model:
        model.set_adapter("sft")
        expected = logits_of(model, variants.tokenizer)
    torch.testing.assert_close(found, expected, atol=0.02 * float(expected.abs().max()), rtol=0)


def test_dpo_goes_on_from_it(trained, tmp_path):
    base, adapter, _, _ = trained
    tokenizer = load_tokenizer(base, None)
    model = patch_for_trl(
        PeftModel.from_pretrained(loading.load_base(base, "main", Model()), adapter, is_trainable=True)
    )
    rows = [
        {"prompt": user_prompts(prompt)[0], "chosen": [{"role": "assistant", "content": reply}],
         "rejected": [{"role": "assistant", "content": "What?"}]} for prompt, reply in TALK
    ]  # fmt: skip
    from datasets import Dataset

    sides = Dataset.from_list([render_preference(tokenizer, row) for row in rows])
    trainer = build_dpo_trainer(model, tokenizer, arguments(DPOConfig, tmp_path, max_steps=1), sides)
    trainer.train()
    first = next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry)
    assert first == pytest.approx(0.693147, abs=1e-5), "the reference has the trained rows"
