"""Puts the tabs together, and the settings that a public page needs."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import gradio as gr
from fastapi.exceptions import RequestValidationError
from starlette.middleware import Middleware

from facemotion import settings
from facemotion.pipeline import Pipeline
from facemotion.webui import (
    about_tab,
    api,
    gallery_tab,
    image_tab,
    leftovers,
    listening,
    proxies,
    theme,
    tool_server,
    video_api,
    video_tab,
    webcam_tab,
    whole_files,
    words,
)
from facemotion.webui.blocks import PublicBlocks
from facemotion.webui.doors import Doors
from facemotion.webui.refusals import malformed

_HEADER = """
<header class="fm-header"><h1>facemotion</h1>
<p>Finds the faces in a picture and says which of seven expressions each one shows.</p></header>
"""
_HEAD = """
<meta name="description" content="Finds the faces in a picture and says which of seven expressions each one shows.">
<meta name="color-scheme" content="light dark">
"""


def build_page(pipeline: Pipeline, live: Pipeline | None = None) -> gr.Blocks:
    """The whole page around one pipeline, its queue set up, ready for `launch(**launch_options())`.

    `live` is for a camera's frames, where that is another one.
    """
    live = live or pipeline
    cleaning = (settings.CLEAN_EVERY_S, settings.FILES_LIVE_S)
    page: gr.Blocks = PublicBlocks(title="facemotion", analytics_enabled=False, delete_cache=cleaning)
    with page:
        gr.HTML(_HEADER + words.notices(tuple(dict.fromkeys(pipeline.notices + live.notices))))
        with gr.Tabs():
            with gr.Tab("Image"):
                image_tab.build(pipeline)
            with gr.Tab("Webcam"):
                webcam_tab.build(live)
            with gr.Tab("Video"):
                video_tab.build(pipeline)
            with gr.Tab("Gallery"):
                gallery_tab.build(pipeline)
            with gr.Tab("About"):
                about_tab.build(pipeline, live)
        gr.HTML(words.serving(pipeline.models, live.models["detector"]))
        api.build(pipeline)
        video_api.build(pipeline)
    page.queue(max_size=settings.MAX_QUEUE, api_open=False)  # nobody passes by the queue
    leftovers.attach(page)
    whole_files.install()
    tool_server.install()
    listening.install()
    proxies.install()
    return page


def launch_options() -> dict[str, Any]:
    """Keyword arguments for `launch`: the look, and closed doors where gradio's defaults leave them open.

    `listening` reads GRADIO_SERVER_NAME and GRADIO_SERVER_PORT; sharing stays with gradio, which reads GRADIO_SHARE.
    """
    return {
        "theme": theme.theme(),
        "css": theme.style_sheet(),
        "head": _HEAD + theme.script(),
        "max_file_size": max(settings.MAX_FILE_BYTES, settings.MAX_VIDEO_BYTES),  # `whole_files` tells them apart
        "state_session_capacity": settings.MAX_SESSIONS,
        "enable_monitoring": False,  # else /monitoring/summary shows everybody's requests
        "run_history": False,  # else the browser keeps pictures and results
        "show_error": False,  # unexpected errors keep their text to themselves
        "app_kwargs": {
            "middleware": [Middleware(Doors)],
            "exception_handlers": {RequestValidationError: malformed},
        },
        "ssr_mode": False,  # the same page on a Space as at home
        "mcp_server": find_spec("mcp") is not None,
        "footer_links": ["api"],
    }
