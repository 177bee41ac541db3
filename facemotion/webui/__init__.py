"""The page: one file per tab, one input that decodes pictures, one place that maps errors."""

from facemotion.webui.gradio_patches import type_stubs as stubs

with stubs.left_out():  # the first import of gradio, if nobody came before
    from facemotion.webui.page import build_page, launch_options

__all__ = ["build_page", "launch_options"]
