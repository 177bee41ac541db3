"""The command line, `python -m facemotion`: photos, and `video` as its first word."""

from __future__ import annotations

from facemotion.cli.photos import main

__all__ = ["main"]
