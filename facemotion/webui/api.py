"""The endpoints for programs: their names, arguments and results stay the same from version to version."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from facemotion import settings
from facemotion.errors import MissingInput, TooManyPictures
from facemotion.images import Picture
from facemotion.output import draw
from facemotion.pipeline import Pipeline
from facemotion.webui import explain as explaining
from facemotion.webui.photo_input import PhotoInput, PhotosInput

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
            detail: how closely to search: "fast", "auto" or "thorough" (faces of a few pixels).

        Returns:
            The faces with box, expression, confidence and seven probabilities, as described in the README.
        """
        return _analyze(pipeline, picture, threshold, detail)

    def annotate(picture: Picture | None, threshold: float | None = None, detail: str = "auto") -> NDArray[np.uint8]:
        """Draw a numbered, labelled box around every face in a picture.

        Args:
            picture: a photo (JPEG, PNG, WebP, GIF, BMP, AVIF, HEIC): an upload or a data: URL in base64, no address.
            threshold: smallest detection score of a face, 0 to 1; without it the detector's own.
            detail: how closely to search: "fast", "auto" or "thorough" (faces of a few pixels).

        Returns:
            The picture as JPEG, at its own size.
        """
        return _annotate(pipeline, picture, threshold, detail)

    def explain(
        picture: Picture | None, face: float = 1, threshold: float | None = None, detail: str = "auto"
    ) -> NDArray[np.uint8]:
        """Show which parts of a face its expression label rests on: hiding the glowing ones makes it less probable.

        Args:
            picture: a photo (JPEG, PNG, WebP, GIF, BMP, AVIF, HEIC): an upload or a data: URL in base64, no address.
            face: the face's number in the analysis; 1 is the largest.
            threshold: smallest detection score of a face, 0 to 1; without it the detector's own.
            detail: how closely to search: "fast", "auto" or "thorough" (faces of a few pixels).

        Returns:
            The face in grey as JPEG, the parts that support its label glowing.
        """
        return _explain(pipeline, picture, face, threshold, detail)

    def analyze_batch(
        pictures: list[str], threshold: float | None = None, detail: str = "auto"
    ) -> list[dict[str, Any]]:
        """Find the faces in several pictures and the expression each one shows.

        Args:
            pictures: photos (JPEG, PNG, WebP, GIF, BMP, AVIF or HEIC).
            threshold: smallest detection score of a face, 0 to 1; without it the detector's own.
            detail: how closely to search: "fast", "auto" or "thorough" (faces of a few pixels).

        Returns:
            One analysis for each picture, in order; one that could not be read has its `error` filled and no faces.
        """
        return _analyze_batch(pipeline, pictures, threshold, detail)

    # gradio's MCP server writes no valid schema for a list of files; it offers only functions of the type "tool".
    analyze_batch._mcp_type = "none"  # type: ignore[attr-defined]
    shared: dict[str, Any] = {"concurrency_limit": 2, "concurrency_id": "models"}
    trigger.click(analyze, [photo, threshold, detail], result, api_name="analyze", **shared)
    trigger.click(annotate, [photo, threshold, detail], picture, api_name="annotate", **shared)
    trigger.click(explain, [photo, number, threshold, detail], heat, api_name="explain", **shared)
    trigger.click(analyze_batch, [photos, threshold, detail], results, api_name="analyze_batch", **shared)


def _analyze(pipeline: Pipeline, picture: Picture | None, threshold: float | None, detail: str) -> dict[str, Any]:
    return pipeline.analyze(_present(picture), threshold=threshold, detail=detail).to_dict()


def _annotate(pipeline: Pipeline, picture: Picture | None, threshold: float | None, detail: str) -> NDArray[np.uint8]:
    picture = _present(picture)
    return draw.annotate(picture.pixels, pipeline.analyze(picture, threshold=threshold, detail=detail))


def _explain(
    pipeline: Pipeline, picture: Picture | None, face: float, threshold: float | None, detail: str
) -> NDArray[np.uint8]:
    picture = _present(picture)
    analysis = pipeline.analyze(picture, threshold=threshold, detail=detail)
    return explaining.drawn(pipeline, picture.pixels, analysis, face)


def _analyze_batch(
    pipeline: Pipeline, pictures: list[str], threshold: float | None, detail: str
) -> list[dict[str, Any]]:
    if not pictures:
        raise MissingInput(_ADD)
    if len(pictures) > settings.MAX_PICTURES:
        raise TooManyPictures(f"{len(pictures)} pictures are too many at once; send at most {settings.MAX_PICTURES}.")
    analyses = pipeline.analyze_batch(pictures, threshold=threshold, detail=detail)
    return [analysis.to_dict() for analysis in analyses]


def _present(picture: Picture | None) -> Picture:
    if picture is None:
        raise MissingInput(_ADD)
    return picture
