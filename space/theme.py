"""The look of the page: paper and ink by day, a dark theatre by night; system fonts, so that no other host is asked."""

from __future__ import annotations

import gradio as gr

PAPER, SHEET, INK, FADED, RULE, CURTAIN = "#f6f1e7", "#fffdf8", "#231d17", "#6d6256", "#ddd2c0", "#8c2b2b"
HOUSE, STAGE_COLOUR, LIGHT, DIMMED, SEAM, LAMP = "#141210", "#1e1b18", "#ece4d6", "#a69a89", "#3a342d", "#e2ab58"


def theme() -> gr.themes.Base:
    """Gradio's plain theme in our colours; light and dark follow the visitor's system."""
    day_and_night = {
        "body_background_fill": (PAPER, HOUSE),
        "body_text_color": (INK, LIGHT),
        "body_text_color_subdued": (FADED, DIMMED),
        "background_fill_primary": (SHEET, STAGE_COLOUR),
        "background_fill_secondary": (PAPER, HOUSE),
        "block_background_fill": (SHEET, STAGE_COLOUR),
        "block_border_color": (RULE, SEAM),
        "block_info_text_color": (FADED, DIMMED),
        "block_label_background_fill": (SHEET, STAGE_COLOUR),
        "block_label_text_color": (FADED, DIMMED),
        "block_title_text_color": (FADED, DIMMED),
        "border_color_primary": (RULE, SEAM),
        "border_color_accent": (RULE, SEAM),
        "border_color_accent_subdued": (RULE, SEAM),
        "color_accent_soft": ("#f1e4d6", "#2b2620"),
        "input_background_fill": (SHEET, STAGE_COLOUR),
        "input_border_color": (RULE, SEAM),
        "input_border_color_focus": (CURTAIN, LAMP),
        "input_placeholder_color": (FADED, DIMMED),
        "button_primary_background_fill": (CURTAIN, LAMP),
        "button_primary_background_fill_hover": ("#6f1f1f", "#f0c37d"),
        "button_primary_text_color": ("#fff8ee", "#1b1408"),
        "button_secondary_background_fill": ("#efe6d6", "#2b2620"),
        "button_secondary_background_fill_hover": ("#e5d8c2", "#3a342d"),
        "button_secondary_text_color": (INK, LIGHT),
        "checkbox_label_background_fill": ("transparent", "transparent"),
        "checkbox_label_text_color": (INK, LIGHT),
        "checkbox_background_color_selected": (CURTAIN, LAMP),
        "checkbox_border_color_selected": (CURTAIN, LAMP),
        "slider_color": (CURTAIN, LAMP),
        "link_text_color": (CURTAIN, LAMP),
        "link_text_color_hover": (INK, LIGHT),
        "link_text_color_visited": (CURTAIN, LAMP),
    }
    colours = {name: day for name, (day, _) in day_and_night.items()}
    colours |= {f"{name}_dark": night for name, (_, night) in day_and_night.items()}
    plain = gr.themes.Base(
        font=["system-ui", "Helvetica Neue", "Arial", "sans-serif"],
        font_mono=["Courier Prime", "Courier New", "Courier", "monospace"],
        radius_size="sm",
    )
    return plain.set(**colours, color_accent="*link_text_color", block_border_width="1px", button_large_radius="4px")
