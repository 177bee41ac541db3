"""Annotated videos, tables and summaries from video files.

Frames are decoded, analysed, drawn and encoded one after the other; a fixed number of them is in memory, whatever the
length. `annotate_video` does it in one call; `VideoJob` does it step by step, and can be stopped.
"""

from __future__ import annotations

from facemotion.tracking.timeline import Person, Run
from facemotion.video.job import Result, VideoJob, annotate_video

__all__ = ["Person", "Result", "Run", "VideoJob", "annotate_video"]
