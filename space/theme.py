"""The look of the page: paper and ink by day, a dark theatre by night; system fonts, so that no other host is asked."""

from __future__ import annotations

import json
from pathlib import Path

import gradio as gr

PALETTE = Path(__file__).with_name("colours.json")
"""Day and night by Gradio's names; the page without a server reads the same. Of the edges of what can be used: 3:1
against what lies around them, by WCAG 1.4.11."""


def theme() -> gr.themes.Base:
    """Gradio's plain theme in our colours; light and dark follow the visitor's system."""
    day_and_night: dict[str, tuple[str, str]] = json.loads(PALETTE.read_text("utf-8"))
    colours = {name: day for name, (day, _) in day_and_night.items()}
    colours |= {f"{name}_dark": night for name, (_, night) in day_and_night.items()}
    plain = gr.themes.Base(
        font=["system-ui", "Helvetica Neue", "Arial", "sans-serif"],
        font_mono=["Courier Prime", "Courier New", "Courier", "monospace"],
        radius_size="sm",
    )
    return plain.set(
        **colours,
        color_accent="*link_text_color",
        block_border_width="1px",
        button_border_width="1px",
        button_large_radius="4px",
    )
