"""API endpoints. Their names, arguments and results stay the same from version to version."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import Context
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from facemotion import settings
from facemotion.errors import MissingInput, TooManyPictures
from facemotion.images import Picture
from facemotion.output import draw
from facemotion.pipeline import Pipeline
from facemotion.webui.components import explanation
from facemotion.webui.components.uploads import PhotoInput, PhotosInput, VideoInput
from facemotion.webui.gradio_patches import mcp_server
from facemotion.webui.sessions.video import QUEUE, VideoResult, VideoSession

_ADD = "Add a photo: JPEG, PNG or WebP."


def build(pipeline: Pipeline) -> None:
    """Registers /analyze, /annotate, /explain and /analyze_batch, inside the current `gr.Blocks`."""
    photo = PhotoInput(visible=False, label="picture")
    photos = PhotosInput(visible=False, label="pictures", file_count="multiple")
    threshold = gr.Number(visible=False, label="threshold")
    detail = gr.Textbox("auto", visible=False, label="detail")
    picture = gr.Image(visible=False, label="annotated picture", format="jpeg")
    result, results = gr.JSON(visible=False, label="analysis"), gr.JSON(visible=False, label="analyses")
    number = gr.Number(1, visible=False, label="face")
    heat = gr.Image(visible=False, label="heatmap", format="jpeg")
    trigger = gr.Button(visible=False)

    def analyze(picture: Picture | None, threshold: float | None = None, detail: str = "auto") -> dict[str, Any]:
        """Find the faces in a picture and the expression each one shows.

        Args:
            picture: a photo (JPEG, PNG, WebP, GIF, BMP, AVIF, HEIC): an upload or a data: URL in base64, no address.
            threshold: smallest detection score of a face, 0 to 1; without it the detector's own.
            detail: how closely to search: "fast", "auto" or "thorough" (small faces in large photos).

        Returns:
            The faces with box, expression, confidence and seven probabilities, as docs/api.md describes.
        """
        return pipeline.analyze(_present(picture), threshold=threshold, detail=detail).to_dict()

    def annotate(picture: Picture | None, threshold: float | None = None, detail: str = "auto") -> NDArray[np.uint8]:
        """Draw a numbered, labelled box around every face in a picture.

        Args:
            picture: a photo (JPEG, PNG, WebP, GIF, BMP, AVIF, HEIC): an upload or a data: URL in base64, no address.
            threshold: smallest detection score of a face, 0 to 1; without it the detector's own.
            detail: how closely to search: "fast", "auto" or "thorough" (small faces in large photos).

        Returns:
            The picture as JPEG, at its own size.
        """
        photo = _present(picture)
        return draw.annotate(photo.pixels, pipeline.analyze(photo, threshold=threshold, detail=detail))

    def explain(
        picture: Picture | None, face: float = 1, threshold: float | None = None, detail: str = "auto"
    ) -> NDArray[np.uint8]:
        """Show which parts of a face its expression label rests on: hiding the glowing ones makes it less probable.

        Args:
            picture: a photo (JPEG, PNG, WebP, GIF, BMP, AVIF, HEIC): an upload or a data: URL in base64, no address.
            face: the face's number in the analysis; 1 is the largest.
            threshold: smallest detection score of a face, 0 to 1; without it the detector's own.
            detail: how closely to search: "fast", "auto" or "thorough" (small faces in large photos).

        Returns:
            The face in grey as JPEG, the parts that support its label glowing.
        """
        photo = _present(picture)
        analysis = pipeline.analyze(photo, threshold=threshold, detail=detail)
        return explanation.face_heatmap(pipeline, photo.pixels, analysis, face, detail)

    def analyze_batch(
        pictures: list[str], threshold: float | None = None, detail: str = "auto"
    ) -> list[dict[str, Any]]:
        """Find the faces in several pictures and the expression each one shows.

        Args:
            pictures: photos (JPEG, PNG, WebP, GIF, BMP, AVIF or HEIC).
            threshold: smallest detection score of a face, 0 to 1; without it the detector's own.
            detail: how closely to search: "fast", "auto" or "thorough" (small faces in large photos).

        Returns:
            One analysis for each picture, in order; one that could not be read has its `error` filled and no faces.
        """
        if not pictures:
            raise MissingInput(_ADD)
        if len(pictures) > settings.MAX_PICTURES:
            most = settings.MAX_PICTURES
            raise TooManyPictures(f"{len(pictures)} pictures are too many at once; send at most {most}.")
        analyses = pipeline.analyze_batch(pictures, threshold=threshold, detail=detail)
        return [analysis.to_dict() for analysis in analyses]

    mcp_server.exclude(analyze_batch)  # Gradio writes no valid schema for a list of files
    shared: dict[str, Any] = {"concurrency_limit": 2, "concurrency_id": "models"}
    trigger.click(analyze, [photo, threshold, detail], result, api_name="analyze", **shared)
    trigger.click(annotate, [photo, threshold, detail], picture, api_name="annotate", **shared)
    trigger.click(explain, [photo, number, threshold, detail], heat, api_name="explain", **shared)
    trigger.click(analyze_batch, [photos, threshold, detail], results, api_name="analyze_batch", **shared)


def _present(picture: Picture | None) -> Picture:
    if picture is None:
        raise MissingInput(_ADD)
    return picture


def build_video(pipeline: Pipeline) -> None:
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
        # A video has its own time limit; the limit for requests is in the context.
        finished = Context().run(_run_to_end, VideoSession(video).run(pipeline, shown.GRADIO_CACHE))
        for component, file in ((shown, finished.video), (table, finished.table)):
            component.temp_files.add(file)
        return finished.video, finished.table, finished.result.to_dict()

    mcp_server.exclude(analyze_video)  # language models cannot send videos
    trigger = gr.Button(visible=False)
    trigger.click(analyze_video, video, [shown, table, facts], api_name="analyze_video", **QUEUE)


def _run_to_end(steps: Iterator[float | VideoResult]) -> VideoResult:
    """Run a video to its end; an API call cannot be stopped."""
    finished = next(step for step in steps if isinstance(step, VideoResult))
    next(steps, None)  # so that it cleans up
    return finished
