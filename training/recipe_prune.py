"""What a recipe says of a smaller base (`training.prune`)."""

from __future__ import annotations

from dataclasses import dataclass

from training.recipe_schema import at_least


@dataclass(frozen=True)
class Prune:
    """Base with the vocabulary of the train films, and perhaps fewer layers."""

    min_count: int = 1
    """Keep the tokens that the train pairs have at least this often."""
    layers: int = 0
    """Remove this many layers as well; such a base has to be fine-tuned anew."""
    pairs: int = 100
    """Pairs of the validation split, drawn by seed, that the loss is measured on, and layers are chosen by."""
    seed: int = 1

    def __post_init__(self) -> None:
        at_least(self, "min_count", 1)
        at_least(self, "layers", 0)
        at_least(self, "pairs", 1)
