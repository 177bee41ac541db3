"""Command line of `python -m facemotion`: photos, and the command `video`."""

from __future__ import annotations

from facemotion.cli.photos import main

__all__ = ["main"]
