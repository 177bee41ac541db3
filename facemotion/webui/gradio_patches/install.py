"""Installs all changes to Gradio."""

from __future__ import annotations

import gradio as gr
from gradio.route_utils import FnIndexInferError

from facemotion.webui.gradio_patches import atomic_files, listening, mcp_server, proxies, session_cleanup

UNKNOWN_ENDPOINT = FnIndexInferError  # raised for a number of no endpoint, where 404 should be the answer


def install(page: gr.Blocks) -> None:
    """Change the queue and state of this page, and replace Gradio's functions and classes globally.

    Call it after `page.queue`, before the page is launched.
    """
    session_cleanup.install(page)
    atomic_files.install()
    mcp_server.install()
    listening.install()
    proxies.install()
