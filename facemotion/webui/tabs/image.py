"""The Image tab: faces of a photo, with details of the selected face."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from facemotion import upright
from facemotion.expression import crops
from facemotion.faces import Analysis, Face
from facemotion.images import Picture
from facemotion.output import draw
from facemotion.pipeline import Pipeline
from facemotion.webui.components import downloads, explanation
from facemotion.webui.components.examples import example_photos
from facemotion.webui.components.image_size import fit_within
from facemotion.webui.components.select_events import ItemSelect, PointSelect
from facemotion.webui.components.uploads import PhotoInput
from facemotion.webui.html import text
from facemotion.webui.tabs import QUIET

SHOWN_SIDE = 1280  # pixels; larger images take longer to draw and encode without visible gain
CROP_SIDE = 160  # pixels of a thumbnail, twice its size on the page
EXPLAINED_SIDE = 128  # pixels of a grey face kept for its heatmap: 5 MB for 300 faces
CONCURRENT_ANALYSES = 2  # more would compete for the same cores
STATE_SECONDS = 3000  # after this the photo of a browser is dropped

_DETAILS = [("Fast", "fast"), ("Automatic", "auto"), ("Thorough, for tiny faces", "thorough")]


@dataclass(frozen=True, eq=False)
class PhotoResult:
    """State of the tab: the photo at display size, its analysis, crops of the faces, and the selection.

    Crops are in colour for the list of faces, and in grey for heatmaps.
    """

    picture: NDArray[np.uint8]
    analysis: Analysis
    crops: tuple[NDArray[np.uint8], ...]
    grey: tuple[NDArray[np.uint8], ...]
    selected: int | None

    @property
    def face(self) -> Face | None:
        """The selected face."""
        return next((face for face in self.analysis.faces if face.id == self.selected), None)


def analyze_photo(pipeline: Pipeline, picture: Picture, threshold: float, detail: str) -> PhotoResult:
    """Analyse a photo and prepare its display; the largest face is selected.

    Raises:
        InputError: an option is outside its range.
        ModelFailure: a model raised.
    """
    analysis = pipeline.analyze(picture, detail=detail, threshold=threshold)
    squares = (upright.square(picture.pixels, face.box, detail) for face in analysis.faces)
    cut = tuple(crops.resize(square, CROP_SIDE) for square in squares)
    grey = tuple(crops.to_grey(crops.resize(crop, EXPLAINED_SIDE)) for crop in cut)
    return PhotoResult(fit_within(picture.pixels, SHOWN_SIDE), analysis, cut, grey, 1 if analysis.faces else None)


def face_at(shown: PhotoResult, x: float, y: float) -> int | None:
    """The id of the smallest face around a point in pixels of `shown.picture`, or None."""
    height, width = shown.picture.shape[:2]
    x, y = x * shown.analysis.width / width, y * shown.analysis.height / height
    around = [
        face for face in shown.analysis.faces if face.box.x0 <= x <= face.box.x1 and face.box.y0 <= y <= face.box.y1
    ]
    return min(around, key=lambda face: face.box.area).id if around else None


def build(pipeline: Pipeline) -> None:
    """Lays the tab out and connects it, inside the current `gr.Tab`."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            controls = _controls(pipeline.detector.default_threshold)
        with gr.Column(scale=3, min_width=300):
            view = _view(pipeline)
    _connect(pipeline, controls, view)


@dataclass(frozen=True)
class _Controls:
    """The components that a visitor sets."""

    photo: PhotoInput
    labels: gr.Checkbox
    threshold: gr.Slider
    detail: gr.Radio


def _controls(default_threshold: float) -> _Controls:
    photo = PhotoInput(label="Photo", sources=["upload", "clipboard", "webcam"], buttons=["fullscreen"], height=300)
    with gr.Column(elem_classes="fm-examples"):
        gr.Examples([[path] for path in example_photos()], photo, label="Or try one of these", api_visibility="private")
    labels = gr.Checkbox(True, label="Show labels in the picture")
    with gr.Accordion("Detection", open=False):
        info = "Lower finds more faces, and more things that are none."
        threshold = gr.Slider(0.05, 0.95, default_threshold, step=0.05, label="Detection threshold", info=info)
        detail = gr.Radio(_DETAILS, value="auto", label="Detail", info="How closely to search for small faces.")
    return _Controls(photo, labels, threshold, detail)


@dataclass(frozen=True)
class _View:
    """The components that show a result."""

    state: gr.State
    summary: gr.HTML
    picture: gr.Image
    bars: gr.HTML
    why: gr.Button
    answer: gr.HTML
    crops: gr.Gallery
    table: gr.HTML
    downloads: gr.Row

    def everything(self) -> list[Any]:
        return [getattr(self, name) for name in self.__dataclass_fields__]


_INVITATION = text.note("Add a photo, or choose an example: its faces appear here.")


def _view(pipeline: Pipeline) -> _View:
    state = gr.State(None, time_to_live=STATE_SECONDS)
    summary = gr.HTML(_INVITATION)
    quiet: dict[str, Any] = {"show_label": False, "format": "jpeg", "interactive": False, "visible": False}
    alternative = "The photo with a numbered box around each face; the table below says the same in words"
    picture = gr.Image(label="Faces", buttons=["fullscreen"], alt_text=alternative, **quiet)
    thumbnails = gr.Gallery(
        label="Faces, the largest first", allow_preview=False, buttons=[], elem_classes="fm-crops", **quiet
    )
    bars = gr.HTML()
    why, answer = explanation.build(pipeline, state)
    table = gr.HTML()
    row = gr.Row(visible=False)
    return _View(state, summary, picture, bars, why, answer, thumbnails, table, row)


def _connect(pipeline: Pipeline, controls: _Controls, view: _View) -> None:
    def analyse(picture: Picture | None, threshold: float, detail: str, labels: bool) -> list[Any]:
        return _everything(None if picture is None else analyze_photo(pipeline, picture, threshold, detail), labels)

    photo, labels = controls.photo, controls.labels
    analysed = gr.on(
        [photo.change, controls.threshold.release, controls.detail.change],
        analyse,
        [photo, controls.threshold, controls.detail, labels],
        view.everything(),
        trigger_mode="always_last",
        concurrency_limit=CONCURRENT_ANALYSES,
        concurrency_id="models",
        show_progress="minimal",
        show_progress_on=[view.picture],
        api_visibility="private",
    )
    # What is on the page must not be another photo's.
    analysed.failure(lambda: _everything(None, labels=True), None, view.everything(), **QUIET)
    choice = [view.state, view.picture, view.bars, view.answer, view.table]
    thumbnail = [*choice, view.crops]
    labels.change(_draw, [view.state, labels], view.picture, **QUIET)
    view.picture.select(_choose_in_picture, [view.state, labels], thumbnail, **QUIET)
    view.crops.select(_choose_in_crops, [view.state, labels], choice, **QUIET)
    downloads.build(view.downloads, photo, view.state, labels)


def _everything(shown: PhotoResult | None, labels: bool) -> list[Any]:
    """Values in the order of `_View.everything`."""
    if shown is None:
        picture, gallery = gr.Image(None, visible=False), gr.Gallery(None, visible=False)
        return [None, _INVITATION, picture, "", gr.Button(visible=False), "", gallery, "", gr.Row(visible=False)]
    found = bool(shown.analysis.faces)
    captions = [f"{face.id} · {face.expression}{'?' if face.uncertain else ''}" for face in shown.analysis.faces]
    thumbnails = list(zip(shown.crops, captions, strict=True))
    return [
        replace(shown, crops=()),  # for 300 faces they take 20 MB while the page is open
        text.summary(shown.analysis),
        gr.Image(_draw(shown, labels), visible=True),
        text.bars(shown.face),
        gr.Button(visible=found),
        "",
        gr.Gallery(thumbnails, visible=found, selected_index=0 if found else None),
        text.table(shown.analysis, shown.selected),
        gr.Row(visible=True),
    ]


def _draw(shown: PhotoResult | None, labels: bool) -> NDArray[np.uint8] | None:
    if shown is None:
        return None
    selected = shown.selected if len(shown.analysis.faces) > 1 else None
    return draw.annotate(shown.picture, shown.analysis, labels=labels, selected=selected)


def _choose(shown: PhotoResult | None, face_id: int | None, labels: bool) -> list[Any]:
    if shown is None or face_id is None:
        return [gr.skip()] * 5
    chosen = replace(shown, selected=face_id)
    return [chosen, _draw(chosen, labels), text.bars(chosen.face), "", text.table(chosen.analysis, face_id)]


def _choose_in_picture(shown: PhotoResult | None, labels: bool, event: PointSelect) -> list[Any]:
    face_id = None if shown is None else face_at(shown, *event.index)
    thumbnail = gr.skip() if face_id is None else gr.Gallery(selected_index=face_id - 1)
    return [*_choose(shown, face_id, labels), thumbnail]


def _choose_in_crops(shown: PhotoResult | None, labels: bool, event: ItemSelect) -> list[Any]:
    return _choose(shown, event.index + 1, labels)
