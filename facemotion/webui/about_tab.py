"""The About tab: which weights run, how good they are measured to be, and what the labels do not mean."""

from __future__ import annotations

import gradio as gr

from facemotion.pipeline import Pipeline
from facemotion.webui import words


def build(pipeline: Pipeline) -> None:
    """Lays the tab out, inside the current `gr.Tab`."""
    gr.HTML(words.notices(pipeline.notices) + words.serving(pipeline.models))
