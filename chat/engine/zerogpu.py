"""ZeroGPU engine: each request holds a GPU for as long as it streams, in a process that is forked for it.

A thread does not survive a fork, so a local engine is made anew in the fork, where the model finds its GPU; what it
yields goes back through `spaces`. Unrun so far: it takes a ZeroGPU Space. Without ZeroGPU, `spaces.GPU` leaves a
function as it is, and so the tests run it.

Source: https://huggingface.co/docs/hub/spaces-zerogpu
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

import spaces

from chat.engine.local import LocalEngine, describe_model
from chat.engine.quantized import resolve_precision
from chat.engine.spec import unsupported_reason
from chat.engine.transformers_engine import open_local_engine, slower
from chat.generate import Partial
from chat.sampling import Sampling
from chat.template import Message
from chat.variants import ModelVariants

SECONDS = 15  # of GPU that one request may take; 64 tokens take a few
_variants: ModelVariants | None = None  # a fork finds what is at module level


@spaces.GPU(duration=SECONDS)  # type: ignore[untyped-decorator]
def _stream(
    prompts: list[list[Message]], names: list[str], sampling: Sampling, seed: int | None
) -> Generator[list[Partial], None, None]:
    assert _variants
    with closing(open_local_engine(_variants)) as engine:
        yield from engine.stream(prompts, names, sampling, seed)


class ZeroEngine(LocalEngine):
    """A `LocalEngine` for every stream, on a GPU that is lent for it; visitors do not share a batch.

    It has no worker and no decoder of its own: between two streams there is no GPU for them.
    """

    def __init__(self, variants: ModelVariants) -> None:
        global _variants
        _variants = variants

    def stream(
        self, prompts: list[list[Message]], names: list[str], sampling: Sampling, seed: int | None = None
    ) -> Generator[list[Partial], None, None]:
        """As `LocalEngine.stream`."""
        yield from _stream(prompts, names, sampling, seed)

    def close(self) -> None:
        """Nothing is left open between two streams."""

    def describe(self) -> str:
        """One line of health, as `LocalEngine.describe`."""
        assert _variants
        line = describe_model(_variants, resolve_precision("auto", _variants.model.device))
        return f"ZeroGPU engine ready: {line}{slower(unsupported_reason(_variants.model))}"
