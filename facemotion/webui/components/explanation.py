"""Heatmap of the face regions that support the predicted expression, computed on request."""

from __future__ import annotations

import base64
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from facemotion import upright
from facemotion.errors import BadOption, MissingInput
from facemotion.expression import occlusion
from facemotion.faces import Analysis, Face
from facemotion.pipeline import Pipeline
from facemotion.webui.components.image_size import jpeg

PLAIN_POINTS = 2  # percentage points; a region that changes the probability by less is called irrelevant
_NOTHING = "There is no face to look at any more. Add the photo again."


def build(pipeline: Pipeline, state: gr.State) -> tuple[gr.Button, gr.HTML]:
    """Add the button and its output. `state` holds an object with `face` and `grey`, or None."""
    button = gr.Button("What does this label rest on?", size="sm", visible=False)
    answer = gr.HTML()
    button.click(
        lambda shown: explanation(pipeline, shown),
        state,
        answer,
        concurrency_limit=2,
        concurrency_id="models",
        api_visibility="private",
    )
    return button, answer


def explanation(pipeline: Pipeline, shown: Any) -> str:
    """The selected face with its heatmap and a caption, as HTML.

    Raises:
        MissingInput: the browser's state is gone.
        ModelFailure: the network raised.
    """
    if shown is None or shown.face is None:
        raise MissingInput(_NOTHING)
    face: Face = shown.face
    crop = np.repeat(shown.grey[face.id - 1][:, :, None], 3, axis=2)
    heat = occlusion.heatmap(pipeline.classifier, crop, face.expression)
    said = f"Face {face.id}: {sentence(face, float(heat.max()))}"  # another one may be selected by now
    url = "data:image/jpeg;base64," + base64.b64encode(jpeg(occlusion.overlay(crop, heat), 90)).decode()
    picture = f'<img src="{url}" alt="{said}">'
    return f'<figure class="fm-heat" role="status">{picture}<figcaption>{said}</figcaption></figure>'


def sentence(face: Face, fall: float) -> str:
    """Describe the heatmap in a sentence. `fall` is its highest value."""
    points = 100 * (face.confidence - occlusion.reduced_probability(face.confidence, fall))
    if points < PLAIN_POINTS:
        least = f"less than {PLAIN_POINTS} points of a hundred"
        return f"No single part decides: hiding the one that matters most lowers “{face.expression}” by {least}."
    return f"Hiding the brightest part lowers “{face.expression}” by {points:.0f} points of a hundred."


def face_heatmap(
    pipeline: Pipeline, image: NDArray[np.uint8], analysis: Analysis, number: float, detail: str
) -> NDArray[np.uint8]:
    """The crop of a face with its heatmap, RGB uint8 [S, S, 3]; `detail` is that of the analysis.

    Raises:
        MissingInput: the picture shows no face.
        BadOption: no face has that number.
    """
    faces = {face.id: face for face in analysis.faces}
    if not faces:
        raise MissingInput("No face was found in this picture, so there is none to explain.")
    if number not in faces:
        raise BadOption(f"face must be a number from 1 to {len(faces)}, the largest face first, but is {number!r}.")
    face = faces[int(number)]
    crop = upright.square(image, face.box, detail)
    return occlusion.overlay(crop, occlusion.heatmap(pipeline.classifier, crop, face.expression))
