"""Models as the tests of several rooms ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from chat.variants import ModelRef


def refs(folders: Mapping[str, str | Path]) -> dict[str, ModelRef]:
    """Folders of this machine, by variant, as `load_variants` takes them."""
    return {variant: ModelRef(str(folder)) for variant, folder in folders.items()}
