"""The web page.

Gradio is imported when the page is first asked for, after app.py has named the folder of uploads.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from facemotion import scratch
from facemotion.webui.gradio_patches import fast_import, proxies

if TYPE_CHECKING:
    from facemotion.webui.page import build_page as build_page
    from facemotion.webui.page import launch_options as launch_options

__all__ = ["build_page", "launch_options"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'facemotion.webui' has no attribute {name!r}")
    scratch.use_for("MPLCONFIGDIR")  # Gradio imports matplotlib where it is installed, which keeps a list of fonts
    with fast_import.without_type_stubs(), proxies.unset():  # the first import of Gradio
        return getattr(import_module("facemotion.webui.page"), name)
