"""Figures that are drawn without a display and are the same bytes every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def blank(width: float, height: float) -> Any:
    """An empty figure, in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(canvas)
    return canvas


def saved(canvas: Any, path: Path) -> Path:
    for axes in canvas.axes:
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, dpi=150)
    return path
