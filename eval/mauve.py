"""MAUVE, when it is asked for: how alike a variant's replies and the films' own are spread over the space of texts.

Pillutla et al., "MAUVE: Measuring the Gap Between Neural Text and Human Text using Divergence Frontiers", 2021, by the
authors' package, which is optional (`pip install mauve-text==0.4.0`, GPL-3.0). Texts stand where the base model's state
puts them, so values compare variants of one base and nothing else; from 1,000 prompts up they are of use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from chat.generate import left_padded
from chat.variants import ModelVariants
from hub.errors import UserError
from stats.intervals import Estimate, Z

PARTS = 10  # of the jackknife


def of_variants(
    variants: ModelVariants, replies: Mapping[str, Sequence[str]], films: Sequence[str]
) -> dict[str, Estimate]:
    """MAUVE of each variant's replies against the films' own, one a prompt.

    Raises UserError where the package is not installed.
    """
    needed()
    own = states(variants, films)
    return {variant: estimated(states(variants, texts), own) for variant, texts in replies.items()}


def needed() -> None:
    """Raises UserError where the package is not installed."""
    from importlib.util import find_spec

    if find_spec("mauve") is None or find_spec("faiss") is None:
        raise UserError(
            "MAUVE needs a package that is not installed: pip install mauve-text==0.4.0, or leave --mauve out"
        )


def estimated(first: np.ndarray, second: np.ndarray) -> Estimate:
    """MAUVE of two sets of states, (texts, width), with the interval of a jackknife that leaves out a tenth at a time.

    A bootstrap would repeat texts, and two sets that repeat themselves look unlike each other.
    """
    value = score(first, second)
    part = np.arange(len(first)) % PARTS
    without = np.array([score(first[part != n], second[part != n]) for n in range(PARTS)])
    error = float(np.sqrt((PARTS - 1) / PARTS * ((without - without.mean()) ** 2).sum()))
    return Estimate(value, max(0.0, value - Z * error), min(1.0, value + Z * error))


def score(first: np.ndarray, second: np.ndarray) -> float:
    from mauve import compute_mauve

    return float(compute_mauve(p_features=first, q_features=second, kmeans_num_redo=1, seed=1).mauve)


def states(variants: ModelVariants, texts: Sequence[str], batch_size: int = 64) -> np.ndarray:
    """The base model's state at the last token of each text, (texts, width)."""
    import torch

    rows = [variants.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    rows = [row or [variants.tokenizer.pad_token_id] for row in rows]
    found = []
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        tokens, mask = left_padded(batch, variants)
        with variants.exclusive() as model, torch.inference_mode():
            output = model(
                input_ids=tokens,
                attention_mask=mask,
                position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
                output_hidden_states=True,
                use_cache=False,
                logits_to_keep=1,
                **variants.adapter_names(["base"] * len(batch)),
            )
        found.append(output.hidden_states[-1][:, -1].float().cpu().numpy())
    return np.concatenate(found)
