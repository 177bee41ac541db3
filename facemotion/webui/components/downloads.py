"""Downloads of a result, written on request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
import numpy as np

from facemotion.errors import MissingInput
from facemotion.faces import Analysis
from facemotion.images import Picture
from facemotion.output import draw, tables
from facemotion.webui.components.image_size import fit_within, jpeg
from facemotion.webui.components.uploads import PhotoInput
from facemotion.webui.gradio_patches.atomic_files import save_bytes

JPEG_QUALITY = 92  # of the downloaded image; the page shows a smaller file
NAME = "facemotion"

_CLICK = "() => document.querySelector('#fm-download')?.click()"


def build(row: gr.Row, photo: PhotoInput, state: gr.State, labels: gr.Checkbox) -> None:
    """Add three buttons to `row`. `state` holds an object with the `picture` shown and its `analysis`, or None."""
    with row:
        picture = gr.Button("Download picture", size="sm")
        table = gr.Button("Download CSV", size="sm")
        document = gr.Button("Download JSON", size="sm")
        file = gr.DownloadButton(visible="hidden", elem_id="fm-download")
    _on_click(picture, lambda *values: _picture_file(file, *values), [photo, state, labels], file)
    _on_click(table, lambda shown: _file(file, "csv", csv_bytes(_analysis(shown))), [state], file)
    _on_click(document, lambda shown: _file(file, "json", json_bytes(_analysis(shown))), [state], file)


def jpeg_bytes(picture: Picture, analysis: Analysis, labels: bool = True) -> bytes:
    """The photo at full size with boxes, optional labels and no metadata, as JPEG."""
    return jpeg(draw.annotate(picture.pixels, analysis, labels=labels), JPEG_QUALITY)


def csv_bytes(analysis: Analysis) -> bytes:
    """One CSV row per face."""
    return tables.to_csv([analysis], [NAME]).encode(tables.CSV_FILE_ENCODING)


def json_bytes(analysis: Analysis) -> bytes:
    """The JSON that `/analyze` returns."""
    return tables.to_json([analysis], [NAME], as_list=False).encode()


def _on_click(button: gr.Button, make: Callable[..., str], inputs: list[Any], file: gr.DownloadButton) -> None:
    written = button.click(make, inputs, file, show_progress="hidden", api_visibility="private")
    written.success(None, js=_CLICK)  # the browser fetches a file only when a link to it is clicked


def _picture_file(file: gr.DownloadButton, picture: Picture | None, shown: Any, labels: bool) -> str:
    if picture is None:
        raise MissingInput("There is no photo to download. Add one first.")
    analysis = _analysis(shown)
    same = np.array_equal(fit_within(picture.pixels, max(shown.picture.shape[:2])), shown.picture)
    if not same:  # another photo was added, and is not analysed yet or could not be
        raise MissingInput("The photo has just been changed. Download it when its faces are shown.")
    return _file(file, "jpg", jpeg_bytes(picture, analysis, labels))


def _analysis(shown: Any) -> Analysis:
    if shown is None:
        raise MissingInput("There is no result to download any more. Add the photo again.")
    analysis: Analysis = shown.analysis
    return analysis


def _file(file: gr.DownloadButton, suffix: str, content: bytes) -> str:
    """Write to Gradio's folder, where files are deleted by age."""
    return save_bytes(content, f"{NAME}.{suffix}", file.GRADIO_CACHE)
