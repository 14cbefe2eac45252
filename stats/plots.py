"""Matplotlib figures drawn without a display, the same bytes every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def empty_figure(width: float, height: float) -> Any:
    """Figure without axes, of so many inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(canvas)
    return canvas


def save_figure(canvas: Any, path: Path) -> Path:
    """Saves a figure as PNG, makes the folder where it is missing, and returns the path."""
    for axes in canvas.axes:
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, dpi=150)
    return path
