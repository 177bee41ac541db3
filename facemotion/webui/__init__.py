"""The page: one file per tab, one input that decodes pictures, one place that maps errors."""

from facemotion.webui import proxies, stubs

with stubs.left_out(), proxies.unset():  # the first import of gradio, if nobody came before
    from facemotion.webui.page import build_page, launch_options

__all__ = ["build_page", "launch_options"]
