"""Pruned layers of a causal model: the layer whose absence costs the least held-out loss is removed, and again.

Greedy search by the measured loss, as SLEB does it (Song et al., 2024); each step measures every layer that is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any


def useless_layers(loss: Callable[[Sequence[int]], float], layers: int, count: int) -> Iterator[tuple[int, float]]:
    """Yields layers in the order in which they are removed, each with the loss without it and those before it.

    Args:
        loss: of a model without the layers of these numbers.
        layers: of the whole model.
        count: how many are removed, fewer than there are.
    """
    gone: list[int] = []
    for _ in range(count):
        tried = {layer: loss([*gone, layer]) for layer in range(layers) if layer not in gone}
        least = min(tried, key=tried.__getitem__)
        gone.append(least)
        yield least, tried[least]


@contextmanager
def skipped(model: Any, numbers: Sequence[int]) -> Iterator[None]:
    """Within it the model computes without these layers, each of which hands on what it is given."""
    from torch import nn

    class Skip(nn.Module):
        def forward(self, hidden_states: Any, *others: Any, **options: Any) -> Any:
            return hidden_states

    layers = model.get_decoder().layers
    before = {number: layers[number] for number in numbers}
    try:
        for number in numbers:
            layers[number] = Skip()
        yield
    finally:
        for number, layer in before.items():
            layers[number] = layer


def remove_layers(model: Any, numbers: Sequence[int]) -> None:
    """Removes layers of a causal model, in place, and from its config what is said of each layer."""
    from torch import nn

    decoder, config = model.get_decoder(), model.config
    kept = [number for number in range(len(decoder.layers)) if number not in numbers]
    for name, value in config.to_dict().items():
        if isinstance(value, list) and len(value) == len(decoder.layers):  # layer_types, no_rope_layers
            setattr(config, name, [value[number] for number in kept])
    config.num_hidden_layers = len(kept)
    decoder.layers = nn.ModuleList(decoder.layers[number] for number in kept)
    for index, layer in enumerate(decoder.layers):
        for module in layer.modules():
            if hasattr(module, "layer_idx"):  # its place in the KV cache
                module.layer_idx = index
