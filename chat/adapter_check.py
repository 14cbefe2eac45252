"""Adapters of others: what can answer beside the base in one batch, and one line for what cannot."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class AdapterError(ValueError):
    """An adapter that cannot answer here: one line that says why, and the cure."""


def adapter_config(name: str, repo: str, pinned: Mapping[str, Any]) -> Any:
    """PEFT's config of an adapter that is plain LoRA.

    Args:
        name: of the variant.
        repo: Hub id or folder.
        pinned: further arguments of `from_pretrained`: the revision.

    Raises:
        AdapterError: it is of another kind, or more than LoRA's A and B and trained tokens.
    """
    from peft import PeftConfig

    try:
        config = PeftConfig.from_pretrained(repo, **pinned)
    except (KeyError, TypeError, ValueError) as error:
        if _is_of_the_hub(error):
            raise
        reason = " ".join(str(error).split())[:200]
        raise AdapterError(f"{name}, {repo}, is no adapter that PEFT can read ({reason}); save it again") from error
    kind = str(getattr(config.peft_type, "value", config.peft_type))
    more = [
        said
        for said, has in (
            ("DoRA", getattr(config, "use_dora", False)),
            ("biases", getattr(config, "bias", "none") != "none" or getattr(config, "lora_bias", False)),
            ("whole modules (modules_to_save)", getattr(config, "modules_to_save", None)),
            ("new layers (layer_replication)", getattr(config, "layer_replication", None)),
        )
        if has
    ]
    if kind != "LORA" or config.task_type not in (None, "CAUSAL_LM"):
        what = f"an adapter of kind {kind} for {config.task_type or 'no task'}"
    elif more:
        what = f"LoRA with {' and '.join(more)}"
    else:
        return config
    raise AdapterError(
        f"{name}, {repo}, is {what}; beside the base in one batch only plain LoRA for CAUSAL_LM answers: merge it into "
        "its base, or train it as LoRA alone"
    )


def token_modules(config: Any) -> str:
    """The modules in which an adapter has trained tokens, in one text; empty where there are none."""
    given = config.trainable_token_indices or {}
    return " and ".join(sorted(given)) if isinstance(given, dict) else "embed_tokens"


def check_loaded(result: Any) -> None:
    """Checks what `load_adapter` returned: weights that the base has places for and the adapter none."""
    if result.missing_keys:
        raise ValueError(f"it has no weights for {result.missing_keys[0]} and others")


@contextmanager
def readable_adapter(name: str, repo: str) -> Iterator[None]:
    """Raises AdapterError where PEFT, loading an adapter, finds that it was made for another base.

    PEFT only warns of missing weights, and the variant would then answer as the base does.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="Found missing adapter keys")
            yield
    except (ValueError, RuntimeError, UserWarning, KeyError, IndexError) as error:
        if _is_of_the_hub(error):
            raise
        reason = " ".join(str(error).split())[:200]
        raise AdapterError(
            f"{name}, {repo}, does not fit the base ({reason}); take the base that its adapter_config.json names"
        ) from error


def _is_of_the_hub(error: Exception) -> bool:
    """Whether an error says that the Hub, or its cache, has no such repository or file."""
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError

    return isinstance(error, HfHubHTTPError | EntryNotFoundError | HFValidationError)
