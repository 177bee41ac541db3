"""The page: one file per tab, one input that decodes pictures, one place that maps errors."""

from facemotion.webui.page import build_page, launch_options

__all__ = ["build_page", "launch_options"]
