"""Annotated videos, tables and summaries from video files.

Frames are decoded, analyzed, drawn and encoded in turn, with a fixed number of them in memory. `annotate_video` does it
in one call; `VideoJob` yields its progress, and can be stopped.
"""

from __future__ import annotations

from facemotion.tracking.timeline import Person, Run
from facemotion.video.job import Result, VideoJob, annotate_video

__all__ = ["Person", "Result", "Run", "VideoJob", "annotate_video"]
