"""The look: one accent, grey otherwise; the style sheet lies in assets/."""

from __future__ import annotations

from importlib.resources import files

import gradio as gr
from gradio.themes.utils import colors, sizes


def theme() -> gr.themes.Base:
    """Flat surfaces, thin borders, one accent (indigo), fonts that gradio serves itself."""
    return gr.themes.Base(
        primary_hue=colors.indigo,
        secondary_hue=colors.indigo,
        neutral_hue=colors.slate,
        radius_size=sizes.radius_md,
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        block_border_width="1px",
        block_shadow="none",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_text_color="white",
        slider_color="*primary_600",
        slider_color_dark="*primary_400",
    )


def style_sheet() -> str:
    """The rules that the theme's variables do not cover."""
    return (files("facemotion") / "assets" / "style.css").read_text("utf-8")
