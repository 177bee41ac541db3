"""Theme, style sheet and scripts of the page."""

from __future__ import annotations

from importlib.resources import files

import gradio as gr
from gradio.themes.utils import colors, sizes


def theme() -> gr.themes.Base:
    """Flat surfaces, thin borders, one accent (teal), fonts that gradio serves itself."""
    return gr.themes.Base(
        primary_hue=colors.teal,
        secondary_hue=colors.teal,
        neutral_hue=colors.slate,
        radius_size=sizes.radius_md,
        font=(gr.themes.LocalFont("IBM Plex Sans", weights=(400, 700)), "ui-sans-serif", "system-ui", "sans-serif"),
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        block_border_width="1px",
        block_shadow="none",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        color_accent="*primary_700",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_400",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_800",
        button_primary_text_color="white",
        button_secondary_background_fill="*background_fill_primary",
        button_secondary_background_fill_dark="*neutral_800",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="*neutral_600",
        button_border_width="1px",
        checkbox_background_color_selected="*primary_700",
        checkbox_background_color_selected_dark="*primary_600",
        slider_color="*primary_700",
        slider_color_dark="*primary_400",
    )


def script() -> str:
    """Scripts of the page, as an element of its head."""
    static = files("facemotion") / "webui" / "static"
    return f"<script>{''.join((static / name).read_text('utf-8') for name in ('page.js', 'camera.js'))}</script>"


def style_sheet() -> str:
    """CSS for what the theme's variables do not cover."""
    return (files("facemotion") / "webui" / "static" / "style.css").read_text("utf-8")
