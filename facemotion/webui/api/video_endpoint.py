"""The endpoint for videos; its name, arguments and results stay the same from version to version."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import Context
from typing import Any

import gradio as gr

from facemotion.errors import MissingInput
from facemotion.pipeline import Pipeline
from facemotion.webui.components.video_input import VideoInput
from facemotion.webui.sessions.video import QUEUE, Finished, Turn


def build(pipeline: Pipeline) -> None:
    """Registers /analyze_video, inside the current `gr.Blocks`."""
    video = VideoInput(visible=False, label="video", file_types=["video"])
    shown = gr.Video(visible=False, label="annotated video")
    table, facts = gr.File(visible=False, label="table"), gr.JSON(visible=False, label="summary")

    def analyze_video(video: str | None) -> tuple[str, str, dict[str, Any]]:
        """Follow the faces through a video and draw a numbered, labelled box around each.

        Args:
            video: an MP4, MOV, WebM, Matroska or AVI file.

        Returns:
            The annotated video as MP4; a CSV with a row for each face and analysed moment; and how long each person
            showed which expression, and when.
        """
        if video is None:
            raise MissingInput("Add a video: MP4, MOV, WebM, MKV or AVI.")
        # A video has a limit of its own in place of the one for requests, which lies in the context.
        finished = Context().run(_finish, Turn().run(pipeline, video, shown.GRADIO_CACHE))
        for component, file in ((shown, finished.video), (table, finished.table)):
            component.temp_files.add(file)
        return finished.video, finished.table, finished.result.to_dict()

    analyze_video._mcp_type = "none"  # type: ignore[attr-defined]  # a video is no argument for a language model
    trigger = gr.Button(visible=False)
    trigger.click(analyze_video, video, [shown, table, facts], api_name="analyze_video", **QUEUE)


def _finish(steps: Iterator[float | Finished]) -> Finished:
    """Runs to the end; nobody can stop it."""
    finished = next(step for step in steps if isinstance(step, Finished))
    next(steps, None)  # lets it clean up
    return finished
