"""The page: one file per tab, one input that decodes pictures, one place that maps errors."""

from facemotion import scratch
from facemotion.webui import stubs

scratch.use_for("MPLCONFIGDIR")  # gradio imports matplotlib where it is installed, which keeps a list of fonts

with stubs.left_out():  # the first import of gradio, if nobody came before
    from facemotion.webui.page import build_page, launch_options

__all__ = ["build_page", "launch_options"]
