"""Encoding, packing, LoRA on tied embeddings, NF4 on a CPU, checkpoints: what training stands on."""

import json
import math

import pyarrow as pa
import pytest
import torch
from datasets import Dataset
from transformers import TrainerCallback
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from chat.template import SYSTEM_PROMPT, configure_tokenizer
from training.data import packing
from training.finetune import loading, sft
from training.finetune.preference_pairs import render_preference
from training.finetune.trl_compat import complete_reference, patch_for_trl
from training.recipe_schema import Lora, Model

TALK = [("Where were you?", "At the pier."), ("Who sent you?", "Nobody. I came by myself."), ("Sit down.", "No.")] * 4


@pytest.fixture(scope="module")
def tokenizer(starter):
    from transformers import AutoTokenizer

    return configure_tokenizer(AutoTokenizer.from_pretrained(starter))


def pairs(talk=TALK):
    return pa.Table.from_pylist(
        [
            {
                "prompt": [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": prompt}],
                "completion": [{"role": "assistant", "content": reply}],
            }
            for prompt, reply in talk
        ]
    )


READY = {"completion_only_loss": True, "dataset_kwargs": {"skip_prepare_dataset": True}}  # as training.sft


def adapter(tiny_base, tokenizer, four_bit=False, train_chat_tokens=True, bf16=False):
    torch.manual_seed(0)
    base = loading.load_base(str(tiny_base), "main", Model(four_bit=four_bit), bf16)
    return loading.add_lora(base, tokenizer, Lora(r=4, alpha=8, train_chat_tokens=train_chat_tokens))


def arguments(kind, folder, **changes):
    settings = {"report_to": "none", "use_cpu": True, "logging_steps": 1, "bf16": False, "save_strategy": "no"}
    settings |= {"activation_checkpointing": False, "per_device_train_batch_size": 2, "max_steps": 2, "max_length": 512}
    return kind(output_dir=str(folder), **(settings | changes))


def test_packing_loses_no_reply_token_and_keeps_pairs_apart(tiny_base, tokenizer, tmp_path):
    encoded = packing.encode(tokenizer, pairs(), 512)
    model = adapter(tiny_base, tokenizer)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    settings = arguments(SFTConfig, tmp_path, packing=True, max_length=128, **READY)
    trainer = SFTTrainer(
        model=model,
        args=settings,
        train_dataset=packing.examples(encoded, settings),
        processing_class=tokenizer,
    )
    trained = sum(label != -100 for row in trainer.train_dataset for label in row["labels"])
    assert trained == encoded.reply_tokens

    model.eval()
    packed = trainer.data_collator([trainer.train_dataset[0]])
    kwargs = {key: packed[key] for key in ("input_ids", "position_ids")}
    with torch.no_grad():
        together = model(**kwargs, use_cache=False).logits[0]
        starts = (packed["position_ids"][0] == 0).nonzero().flatten().tolist()
        assert len(starts) > 1
        for start, end in zip(starts, [*starts[1:], len(together)], strict=True):
            alone = model(input_ids=packed["input_ids"][:, start:end], use_cache=False).logits[0]
            torch.testing.assert_close(together[start:end], alone, atol=1e-4, rtol=0)


def test_the_head_scores_replies_alone_and_the_loss_is_that_of_all_places(tiny_base, tokenizer, tmp_path, monkeypatch):
    from trl.trainer import utils

    encoded = packing.encode(tokenizer, pairs(), 512)
    settings = arguments(SFTConfig, tmp_path, packing=True, max_length=256, **READY)
    model = adapter(tiny_base, tokenizer)
    trainer = sft.build_sft_trainer(model, tokenizer, settings, encoded, packing.examples(encoded, settings))
    batch = trainer.data_collator([trainer.train_dataset[0]])
    scored, head = [], utils._ChunkedLogProbFunction

    class Counting:
        @staticmethod
        def apply(hidden, *rest):
            scored.append(len(hidden))
            return head.apply(hidden, *rest)

    monkeypatch.setattr(utils, "_ChunkedLogProbFunction", Counting)
    with torch.no_grad():
        loss = trainer.compute_loss(model, dict(batch))
        kept = {key: batch[key] for key in ("input_ids", "position_ids")}
        logits = model(**kept, use_cache=False).logits[:, :-1]
    labels = batch["labels"][:, 1:]
    assert scored == [int((labels != -100).sum())]
    assert scored[0] < labels.numel() / 2
    assert loss.item() == pytest.approx(torch.nn.functional.cross_entropy(logits[0], labels[0]).item(), abs=1e-4)


def test_noise_under_packing_is_measured_as_that_of_an_unpacked_example(tiny_base, tokenizer, tmp_path):
    """NEFTune adds uniform noise within alpha / sqrt(length * width), whose deviation is that over sqrt(3)."""
    encoded = packing.encode(tokenizer, pairs(), 512)
    mean, width, alpha = encoded.tokens / len(encoded.table), 64, 5.0
    deviations = []

    def listen(module, inputs, output):  # comes after NEFTune's own hook
        if module.training:
            deviations.append((output - module.forward(*inputs)).std().item())

    settings = arguments(SFTConfig, tmp_path, packing=True, max_length=256, neftune_noise_alpha=alpha, **READY)
    model = adapter(tiny_base, tokenizer)
    trainer = sft.build_sft_trainer(model, tokenizer, settings, encoded, packing.examples(encoded, settings))

    class Listen(TrainerCallback):
        def on_train_begin(self, args, state, control, **_):
            model.get_input_embeddings().register_forward_hook(listen)

    trainer.add_callback(Listen())
    trainer.train()
    expected = alpha / math.sqrt(mean * width) / math.sqrt(3)
    assert len(deviations) == settings.max_steps
    assert sum(deviations) / len(deviations) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("train_chat_tokens", [True, False])
@pytest.mark.parametrize("four_bit", [True, False])
def test_step_one_dpo_loss_is_ln_2(tiny_base, tokenizer, tmp_path, train_chat_tokens, four_bit):
    model = adapter(tiny_base, tokenizer, four_bit, train_chat_tokens)
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.05)
    worse = [{"role": "assistant", "content": "Hm."}]
    preferences = [
        render_preference(tokenizer, {**row, "chosen": row["completion"], "rejected": worse})
        for row in pairs().to_pylist()
    ]
    trainer = DPOTrainer(
        model=patch_for_trl(model),
        args=arguments(DPOConfig, tmp_path, learning_rate=1e-3),
        train_dataset=Dataset.from_list(preferences),
        processing_class=tokenizer,
    )
    complete_reference(model)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert abs(losses[0] - math.log(2)) < 1e-4
    assert losses[1] < losses[0] - 1e-3  # and the reference stays where it was while the policy moves


def test_frozen_weights_are_kept_in_the_dtype_of_the_computation(tiny_base, tokenizer, tmp_path):
    encoded, losses = packing.encode(tokenizer, pairs(), 512), []
    for bf16 in (False, True):
        model = adapter(tiny_base, tokenizer, bf16=bf16)
        settings = arguments(SFTConfig, tmp_path, packing=True, bf16=bf16, max_steps=3, learning_rate=1e-2, **READY)
        trainer = SFTTrainer(
            model=model,
            args=settings,
            train_dataset=packing.examples(encoded, settings),
            processing_class=tokenizer,
        )
        trainer.train()
        kinds = {(parameter.requires_grad, parameter.dtype) for parameter in model.parameters()}
        assert kinds == {(False, torch.bfloat16 if bf16 else torch.float32), (True, torch.float32)}
        losses.append([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])
    assert losses[1] == pytest.approx(losses[0], rel=0.01)
    assert losses[1][-1] < losses[1][0]


def test_four_bit_trains_and_evaluates_in_turns_on_a_cpu(tiny_base, tokenizer, tmp_path):
    encoded = packing.encode(tokenizer, pairs(), 512)
    settings = arguments(SFTConfig, tmp_path, packing=True, bf16=True, eval_strategy="steps", eval_steps=1, **READY)
    trainer = SFTTrainer(
        model=adapter(tiny_base, tokenizer, four_bit=True),
        args=settings,
        train_dataset=packing.examples(encoded, settings),
        eval_dataset=packing.examples(encoded, settings),
        processing_class=tokenizer,
    )
    trainer.train()
    evaluations = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert len(evaluations) == 2
    assert all(map(math.isfinite, evaluations))


def test_lora_is_published_in_bf16_and_trained_tokens_are_not(tiny_base, tokenizer, tmp_path):
    from peft import PeftModel
    from safetensors.torch import load_file

    model = adapter(tiny_base, tokenizer)
    for name, value in model.named_parameters():
        if value.requires_grad:
            torch.nn.init.normal_(value, std=0.02) if "lora_" in name else value.data.add_(0.001)
    file = loading.save_adapter(model, tokenizer, tmp_path / "adapter")["adapter_model.safetensors"]
    dtypes = {name: value.dtype for name, value in load_file(file).items()}
    assert {dtype for name, dtype in dtypes.items() if ".lora_" in name} == {torch.bfloat16}
    assert {dtype for name, dtype in dtypes.items() if ".lora_" not in name} == {torch.float32}
    again = PeftModel.from_pretrained(loading.load_base(str(tiny_base), "main", Model(), False), tmp_path / "adapter")
    ids = torch.tensor([tokenizer("Where were you last night?")["input_ids"]])
    with torch.inference_mode():
        trained, published = (one(ids).logits.float() for one in (model.eval(), again.eval()))
    assert (trained - published).abs().max() < 0.01 * trained.abs().max()
    assert {value.dtype for name, value in again.named_parameters() if "lora_" in name} == {torch.float32}


def test_a_half_written_checkpoint_is_passed_over(tmp_path):
    for step, state in ((10, json.dumps({"global_step": 10})), (20, '{"global')):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    (tmp_path / "checkpoint-30").mkdir()
    assert loading.last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-10"]
    assert loading.last_checkpoint(tmp_path / "none") is None
