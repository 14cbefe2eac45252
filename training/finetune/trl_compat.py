"""Workarounds for faults of TRL, PEFT, transformers and bitsandbytes, each with the version that it is for.

Each is one function here and one test in tests/training/finetune/test_trl_compat.py, which shows the fault without it:
when that test fails, upstream has mended it, and the function can go.

| function | for | upstream |
| --- | --- | --- |
| score_replies_alone | TRL 1.16 | none known; `trl.trainer.utils` line "compact = _use_triton(...)" |
| with_bias | TRL 1.16, PEFT 0.21 | none known |
| complete_reference | TRL 1.16 | none known; the loops over ".default." in DPOTrainer and RLOOTrainer |
| packed_noise | transformers 5.23 | huggingface/transformers#34659, open; #35799 would mend it |
| keep_cpu_layout | bitsandbytes 0.50 | none known; bitsandbytes#2078 is another fault of the same packing |
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


def keep_cpu_layout(base: PreTrainedModel) -> None:
    """NF4 weights stay as they are on a CPU (bitsandbytes 0.50).

    On chips with AVX512-BF16 `Linear4bit` repacks its weights at the first forward pass in evaluation, for good; the
    next training step then reads them in the old layout.
    """
    from bitsandbytes.nn import Linear4bit

    for module in base.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def patch_for_trl(model: PeftModel) -> PeftModel:
    """Model that TRL 1.16's chunked head takes, and scores no more of than it has to; returns it."""
    score_replies_alone()
    return with_bias(model)


def score_replies_alone() -> None:
    """Chunked head on the tokens with a label alone, on every device as on a GPU (TRL 1.16).

    Without Triton TRL scores prompts and padding too, against the whole vocabulary, and throws the scores away: the
    choice is made for chips that compile a kernel for each shape, which a CPU does not. TRL alone asks this name of its
    module.
    """
    from trl.trainer import utils

    vars(utils)["_use_triton"] = lambda device: True


def with_bias(model: PeftModel) -> PeftModel:
    """Model whose head has the `bias` that TRL 1.16's chunked head asks for; returns it.

    PEFT 0.21 wraps trained, tied token embeddings in a layer that has none.
    """
    head = model.get_output_embeddings()
    if not hasattr(head, "bias"):
        head.bias = None
    return model


def complete_reference(model: PeftModel) -> None:
    """Reference adapter `ref` frozen, and equal to the trained one to the bit (TRL 1.16).

    TRL's own copy differs in three ways. It leaves out trained tokens, for it looks for `.default.` inside a name and
    theirs end in `.default`; of a loaded adapter it leaves theirs to the optimizer, whose checkpoint a resumed run
    cannot read, for there they are frozen; and of a 4-bit model it rounds the trained adapter to bf16 after copying it.
    DPO's first loss would be up to 1e-3 off ln 2.
    """
    parameters = dict(model.named_parameters())
    for name, parameter in parameters.items():
        reference = parameters.get(f"{name}.".replace(".default.", ".ref.").removesuffix("."))
        if reference is not None and reference is not parameter:
            reference.data = parameter.data.clone()
            reference.requires_grad_(False)


def packed_noise(flattened: float, mean_length: float) -> float:
    """Factor on NEFTune's alpha that gives packed examples the noise of unpacked ones (transformers#34659).

    The noise is alpha / sqrt(length * width) (Jain et al., 2023), but transformers takes the length of the whole
    flattened batch for it: the factor is the square root of that length over the mean example's.

    Args:
        flattened: tokens of a batch, all examples in one row.
        mean_length: tokens of an example.
    """
    return math.sqrt(flattened / mean_length)
