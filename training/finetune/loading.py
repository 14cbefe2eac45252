"""Model loading for the trainers: base with or without NF4, LoRA on it, checkpoints."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chat.embeddings import make_room, row_modules
from chat.sampling import Sampling
from chat.template import START, STOP, chat_format, load_tokenizer, stop_ids
from chat.variants import has_bf16
from hub.errors import UserError
from training.finetune.trl_compat import keep_cpu_layout, patch_for_trl
from training.recipe_schema import Lora, Model

if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CHAT_TOKENS = (START, STOP)


def load_base(repo: str, revision: str, model: Model, bf16: bool = False) -> PreTrainedModel:
    """Causal LM of the base, loaded for training as `loading` says, with rows for the tokens of its chat format."""
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(repo, revision=revision, **loading(model, bf16))
    make_room(base, load_tokenizer(repo, revision))
    return ready_base(base, model)


def loading(model: Model, bf16: bool = False) -> dict[str, Any]:
    """Loading options of a frozen base for training: NF4, or the dtype that the trainer computes in.

    Weights in float32 under an autocast to bf16 would be cast at every step, and the cast ones kept for the backward
    pass: half as much memory again as float32 alone. PEFT keeps the adapter's own weights in float32. The quant storage
    is bf16 because FSDP shards only tensors of one type (accelerate#3983).

    Args:
        model: the recipe's section.
        bf16: whether the trainer computes in bf16 (`TrainingArguments.bf16`).
    """
    import torch
    from transformers import BitsAndBytesConfig

    if not model.four_bit:
        return {
            "dtype": torch.bfloat16 if bf16 else torch.float32,
            "attn_implementation": attention_implementation(),
        }
    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if has_bf16() else torch.float32,
        bnb_4bit_quant_storage=torch.bfloat16 if torch.cuda.is_available() else torch.uint8,
    )
    return {
        "dtype": torch.bfloat16,
        "quantization_config": quantization,
        "attn_implementation": attention_implementation(),
    }


def attention_implementation() -> str:
    """Flash attention where it is built for a GPU, else torch's own sdpa. Both keep packed pairs apart."""
    import torch

    return "flash_attention_2" if torch.cuda.is_available() and find_spec("flash_attn") else "sdpa"


def ready_base(base: PreTrainedModel, model: Model) -> PreTrainedModel:
    """Base without a KV cache, and on a CPU with NF4 weights in a layout that training can read."""
    base.config.use_cache = False
    if model.four_bit:
        keep_cpu_layout(base)
    return base


def add_lora(base: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, lora: Lora) -> PeftModel:
    """LoRA model: a fresh adapter on every linear layer, and on rows of the chat tokens where the recipe says so."""
    from peft import get_peft_model

    return patch_for_trl(get_peft_model(base, lora_config(base, tokenizer, lora, task_type="CAUSAL_LM")))


def lora_config(base: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, lora: Lora, **task: Any) -> LoraConfig:
    """LoRA config of a recipe. ChatML's tokens are trained in the embedding, and in a head that is untied.

    Nothing of a quantized base is cast to float32, as `prepare_model_for_kbit_training` would: at 3B the embeddings
    alone would take another 0.6 GB, and the norms compute in float32 anyway. Raises UserError where ChatML's tokens
    shall be trained for a base that is asked in its own.
    """
    from peft import LoraConfig

    if lora.train_chat_tokens and chat_format(tokenizer).own:
        raise UserError(
            f"{tokenizer.name_or_path} has its own chat format, whose tokens are trained; "
            "set model.lora.train_chat_tokens=false"
        )
    chat_tokens: Any = tokenizer.convert_tokens_to_ids(list(CHAT_TOKENS))
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear",
        trainable_token_indices=dict.fromkeys(row_modules(base), chat_tokens) if lora.train_chat_tokens else None,
        **task,
    )


def last_checkpoint(folder: Path) -> str | None:
    """Newest checkpoint that was written to its end, or None; one that a kill left half-written is removed."""
    for checkpoint in sorted(folder.glob("checkpoint-*"), key=lambda path: -int(path.name.split("-")[1])):
        try:
            json.loads((checkpoint / "trainer_state.json").read_text())  # the trainer writes this file last
            return str(checkpoint)
        except (OSError, json.JSONDecodeError):
            shutil.rmtree(checkpoint)
    return None


def save_adapter(model: PeftModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> dict[str, Path]:
    """Saves the trained adapter, tokenizer, chat template and generation config; returns path-in-repo to file.

    LoRA's matrices are stored in bf16, as the base is: half the bytes to download, each weight within 0.4%. Trained
    tokens and score heads stay in float32; checkpoints do too.
    """
    from transformers import GenerationConfig

    shutil.rmtree(folder, ignore_errors=True)
    # PEFT would save the whole embedding where rows were added to it, of which all but the trained ones are the base's
    model.save_pretrained(str(folder), selected_adapters=["default"], save_embedding_layers=False)
    _lora_in_bf16(folder / "adapter_model.safetensors")
    tokenizer.save_pretrained(str(folder))
    GenerationConfig(
        **Sampling().to_generate_kwargs(),
        eos_token_id=list(stop_ids(tokenizer).values()),
        pad_token_id=tokenizer.pad_token_id,
    ).save_pretrained(str(folder))
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty card; ours is written when it is published
    return {str(file.relative_to(folder)): file for file in sorted(folder.rglob("*")) if file.is_file()}


def _lora_in_bf16(file: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    tensors = {name: value.to(torch.bfloat16) if ".lora_" in name else value for name, value in load_file(file).items()}
    save_file(tensors, file, {"format": "pt"})
