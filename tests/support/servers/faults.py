"""Models that fail, for real, on pictures which carry a mark: a square of one grey level in the corner at the top
left."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from facemotion import settings
from facemotion.expression.classifier import Network
from facemotion.output import draw
from facemotion.pipeline import Pipeline

SIDE = 32  # of the mark; whole blocks of a JPEG, so that its inside keeps its level
SECRET = "what-the-visitor-sent"  # in the texts of the errors, from where it must reach neither log nor answer


def _raises() -> Any:
    raise RuntimeError(SECRET)


def _is_a_bug() -> Any:
    return {}[SECRET]


def _runs_out_in_numpy() -> Any:
    return np.empty((2**50, 2**10), np.uint8)


def _runs_out_in_opencv() -> Any:
    return cv2.resize(np.zeros((2, 2), np.uint8), (2**30, 2**30))


def _runs_out_in_onnxruntime() -> Any:
    raise onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException(SECRET)


def _runs_out() -> Any:
    raise MemoryError(SECRET)


FAULTS: dict[int, tuple[str, Callable[[], Any]]] = {
    20: ("detector", _raises),
    40: ("detector", _is_a_bug),
    60: ("detector", _runs_out_in_numpy),
    80: ("detector", _runs_out_in_opencv),
    100: ("classifier", _raises),
    120: ("classifier", _runs_out),
    140: ("classifier", _runs_out_in_onnxruntime),
    160: ("classifier", _is_a_bug),
    180: ("drawing", _runs_out_in_numpy),
}
"""What happens where, by the level of the mark."""


def marked(photo: NDArray[np.uint8], level: int) -> NDArray[np.uint8]:
    """A copy of the picture, RGB uint8 [H, W, 3], with the mark."""
    copy = photo.copy()
    copy[:SIDE, :SIDE] = level
    return copy


def png(picture: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


def install(pipeline: Pipeline) -> Pipeline:
    """The pipeline, which now fails on marked pictures; also everything that draws."""
    detect, annotate = pipeline.detector.detect, draw.annotate

    def failing_detect(image: NDArray[np.uint8], detail: str = "auto", threshold: float | None = None) -> Any:
        boxes, scores = detect(image, detail=detail, threshold=threshold)
        level = _level(image)
        if level is None or FAULTS[level][0] == "drawing":
            return boxes, scores
        if FAULTS[level][0] == "detector":
            FAULTS[level][1]()
        boxes = np.concatenate([np.array([[4, 4, SIDE - 4, SIDE - 4]], np.float32), boxes])
        return boxes[: settings.MAX_FACES], np.concatenate([np.array([1], np.float32), scores])[: settings.MAX_FACES]

    def failing_annotate(image: NDArray[np.uint8], *args: Any, **kwargs: Any) -> Any:
        level = _level(image)
        if level is not None and FAULTS[level][0] == "drawing":
            FAULTS[level][1]()
        return annotate(image, *args, **kwargs)

    pipeline.detector.detect = failing_detect  # type: ignore[method-assign]
    pipeline.classifier.network = _failing(pipeline.classifier.network, pipeline.classifier.config["normalisation"])
    draw.annotate = failing_annotate
    return pipeline


def _failing(network: Network, scale: dict[str, float]) -> Network:
    """The network, which fails when a face of the batch is a mark: all of one level."""

    def run(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        for face in (batch * scale["std"] + scale["mean"]) * 255:
            level = _known_level(float(face.mean()))
            if level is not None and float(face.std()) < 0.1:
                FAULTS[level][1]()
        return network(batch)

    return run


def _level(image: NDArray[np.uint8]) -> int | None:
    corner = image[4 : SIDE - 4, 4 : SIDE - 4].astype(int)
    if np.ptp(corner) > 2:
        return None
    return _known_level(float(corner.mean()))


def _known_level(level: float) -> int | None:
    return next((known for known in FAULTS if abs(known - level) <= 2), None)
