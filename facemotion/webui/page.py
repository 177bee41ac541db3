"""Assembles the page from its tabs, with settings for a public server."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import gradio as gr
from fastapi.exceptions import RequestValidationError
from starlette.middleware import Middleware

from facemotion import settings
from facemotion.pipeline import Pipeline
from facemotion.webui import theme
from facemotion.webui.api import endpoints
from facemotion.webui.gradio_patches.install import UNKNOWN_ENDPOINT, install
from facemotion.webui.gradio_patches.public_blocks import PublicBlocks
from facemotion.webui.html import text
from facemotion.webui.server.error_responses import on_validation_error
from facemotion.webui.server.middleware import GuardMiddleware
from facemotion.webui.tabs import about as about_tab
from facemotion.webui.tabs import gallery as gallery_tab
from facemotion.webui.tabs import image as image_tab
from facemotion.webui.tabs import video as video_tab
from facemotion.webui.tabs import webcam as webcam_tab

_HEADER = """
<header class="fm-header"><h1>facemotion</h1>
<p>Finds the faces in a picture and says which of seven expressions each one shows.</p></header>
"""
_HEAD = """
<meta name="description" content="Finds the faces in a picture and says which of seven expressions each one shows.">
<meta name="color-scheme" content="light dark">
"""


def build_page(pipeline: Pipeline, live: Pipeline | None = None) -> gr.Blocks:
    """Build the page around a pipeline, with its queue, ready for `launch(**launch_options())`.

    `live` is the pipeline for camera frames, where it differs.
    """
    live = live or pipeline
    cleaning = (settings.CLEAN_EVERY_S, settings.FILES_LIVE_S)
    page: gr.Blocks = PublicBlocks(title="facemotion", analytics_enabled=False, delete_cache=cleaning)
    with page:
        gr.HTML(_HEADER + text.notices(tuple(dict.fromkeys(pipeline.notices + live.notices))))
        with gr.Tabs():
            with gr.Tab("Image"):
                image_tab.build(pipeline)
            with gr.Tab("Webcam"):
                webcam_tab.build(live, page)
            with gr.Tab("Video"):
                video_tab.build(pipeline, page)
            with gr.Tab("Gallery"):
                gallery_tab.build(pipeline)
            with gr.Tab("About"):
                about_tab.build(pipeline, live)
        gr.HTML(text.serving(pipeline.models, live.models["detector"]))
        endpoints.build(pipeline)
        endpoints.build_video(pipeline)
    page.queue(max_size=settings.MAX_QUEUE, api_open=False)  # no request bypasses the queue
    install(page)
    return page


def launch_options() -> dict[str, Any]:
    """Keyword arguments for `launch`: theme, limits, and Gradio features that a public page turns off.

    `listening` reads GRADIO_SERVER_NAME and GRADIO_SERVER_PORT; sharing stays with gradio, which reads GRADIO_SHARE.
    """
    return {
        "theme": theme.theme(),
        "css": theme.style_sheet(),
        "head": _HEAD + theme.script(),
        "max_file_size": max(settings.MAX_FILE_BYTES, settings.MAX_VIDEO_BYTES),  # `atomic_files` has a limit for each
        "state_session_capacity": settings.MAX_SESSIONS,
        "enable_monitoring": False,  # /monitoring/summary would show all requests
        "run_history": False,  # the browser would keep images and results
        "show_error": False,  # the text of unexpected errors is not sent
        "app_kwargs": {
            "middleware": [Middleware(GuardMiddleware, unknown_endpoint=UNKNOWN_ENDPOINT)],
            "exception_handlers": {RequestValidationError: on_validation_error},
        },
        "ssr_mode": False,  # the same page on a Space as at home
        "mcp_server": find_spec("mcp") is not None,
        "footer_links": ["api"],
    }
