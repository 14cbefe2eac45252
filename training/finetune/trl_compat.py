"""Repairs of TRL, PEFT and bitsandbytes, each with the version that needs it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


def _keep_plain_layout(base: PreTrainedModel) -> None:
    """On AVX512-BF16 chips bitsandbytes repacks weights when it evaluates, which breaks the next training step."""
    from bitsandbytes.nn import Linear4bit

    for module in base.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def patch_for_trl(model: PeftModel) -> PeftModel:
    """Makes TRL 1.16's fused head fit the model, and score no more than it has to."""
    from trl.trainer import utils

    # Without Triton it scores prompts and padding too, against the whole vocabulary, and throws the scores away: here
    # it scores the replies alone on every device, as it does on a GPU. It alone asks this name of its module.
    vars(utils)["_use_triton"] = lambda device: True
    return with_bias(model)


def with_bias(model: PeftModel) -> PeftModel:
    """Gives the wrapper of trained, tied token embeddings the `bias` that TRL 1.16's fused head asks every head for."""
    head = model.get_output_embeddings()
    if not hasattr(head, "bias"):
        head.bias = None
    return model


def complete_reference(model: PeftModel) -> None:
    """Makes the `ref` adapter what the trained one is, to the bit: TRL 1.16's own copy differs in two ways.

    It leaves out trained tokens, for it looks for `.default.` inside a name and theirs end in `.default`; and of a
    4-bit model it rounds the trained adapter to bf16 after copying it: step 1 would begin up to 1e-3 off ln 2.
    """
    parameters = dict(model.named_parameters())
    for name, parameter in parameters.items():
        reference = parameters.get(f"{name}.".replace(".default.", ".ref.").removesuffix("."))
        if reference is not None and reference is not parameter:
            reference.data = parameter.data.clone()


def packed_noise(flattened: float, mean_length: float) -> float:
    """How much larger NEFTune's alpha must be for the noise of an unpacked example.

    The noise is alpha / sqrt(length * width) (Jain et al., 2023), but transformers takes the length of the whole
    flattened batch for it (transformers#34659): the factor is the square root of that length over the mean example's.
    """
    return math.sqrt(flattened / mean_length)
