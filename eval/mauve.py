"""MAUVE, an optional metric: how alike the distributions of a variant's replies and of the films' own are.

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

JACKKNIFE_PARTS = 10


def mauve_of_variants(
    variants: ModelVariants, replies: Mapping[str, Sequence[str]], films: Sequence[str]
) -> dict[str, Estimate]:
    """MAUVE of each variant's replies against the films' own, one a prompt.

    Raises:
        UserError: the package is not installed.
    """
    require_package()
    own = last_states(variants, films)
    return {variant: mauve_estimate(last_states(variants, texts), own) for variant, texts in replies.items()}


def require_package() -> None:
    """Checks that the package is installed.

    Raises:
        UserError: it is not.
    """
    from importlib.util import find_spec

    if find_spec("mauve") is None or find_spec("faiss") is None:
        raise UserError(
            "MAUVE needs a package that is not installed: pip install mauve-text==0.4.0, or leave --mauve out"
        )


def mauve_estimate(first: np.ndarray, second: np.ndarray) -> Estimate:
    """MAUVE of two sets of states, (texts, width), with a jackknife interval that leaves out a tenth at a time.

    A bootstrap would repeat texts, and two sets that repeat themselves look unlike each other.
    """
    value = mauve_score(first, second)
    part = np.arange(len(first)) % JACKKNIFE_PARTS
    without = np.array([mauve_score(first[part != n], second[part != n]) for n in range(JACKKNIFE_PARTS)])
    error = float(np.sqrt((JACKKNIFE_PARTS - 1) / JACKKNIFE_PARTS * ((without - without.mean()) ** 2).sum()))
    return Estimate(value, max(0.0, value - Z * error), min(1.0, value + Z * error))


def mauve_score(first: np.ndarray, second: np.ndarray) -> float:
    """MAUVE, from 0 to 1, of two sets of states, (texts, width)."""
    from mauve import compute_mauve

    return float(compute_mauve(p_features=first, q_features=second, kmeans_num_redo=1, seed=1).mauve)


def last_states(variants: ModelVariants, texts: Sequence[str], batch_size: int = 64) -> np.ndarray:
    """Last hidden states of the base model, at the last token of each text, (texts, width)."""
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
