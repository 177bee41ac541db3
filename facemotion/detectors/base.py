"""FaceDetector, the base class of all detectors; a subclass only runs its network on one image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facemotion import deadline, settings
from facemotion.detectors.boxes import Boxes, Scores, areas, clip, empty, suppress
from facemotion.detectors.tiling import Window, plan, resize, whole
from facemotion.errors import BadArray, BadOption

Image = npt.NDArray[np.uint8]

_SAME_FACE_IOU = 0.4  # boxes of one face differ more between passes than within one
_CUT_PX = 3.0  # a box this close to an inner border of a tile, in its pixels, is a cut face


class FaceDetector(ABC):
    """Base class of face detectors.

    `description` names the weights; `notice` is None, or says why other weights are used than requested.
    Several threads may use an instance, and it can be pickled for other processes.
    """

    default_threshold: float
    """Score threshold used when the caller gives none; scales differ between detectors."""

    fast_side: int = 320
    """Long side of the pass of "fast", in pixels."""

    enlarge: float = 1.0
    """Largest factor by which a small image is enlarged for a pass."""

    tile_side: int = 1152
    """Longest side of a tile of "thorough", in pixels; 12 tiles cover 12 megapixels, at 1024 it takes 20."""

    def __init__(self, description: str, notice: str | None = None) -> None:
        self.description = description
        self.notice = notice

    def _rebuilt_from(self, path: Path) -> tuple[Any, ...]:
        """The value of `__reduce__` for a network that cannot be pickled: the other process loads the file."""
        arguments = (path.absolute(), self.description, self.notice)
        return type(self), arguments, {"default_threshold": self.default_threshold}

    @staticmethod
    def from_pretrained(name: str = "default") -> FaceDetector:
        """Load a detector by name.

        "default" (FACEMOTION_DETECTOR, else "yolo"), "live" (for a camera's frames: FACEMOTION_LIVE_DETECTOR,
        else FACEMOTION_DETECTOR, else "yunet"), "yolo" (our own) and "yolov8n-face" (of both, YuNet checks
        doubtful boxes), "yunet" (the quickest), all embedded, `owner/name[@revision[#sha256]]` on the Hub, as
        arnabdhar/YOLOv8-Face-Detection, or a path: of a folder that `training.detector.export` wrote, or of an
        Ultralytics checkpoint (.pt, .onnx or an OpenVINO folder).

        Raises:
            WeightsError: the weights cannot be had, or are not what they should be.
        """
        from facemotion.detectors import load  # noqa: PLC0415  (it imports the kinds, which import this module)

        return load(name)

    def detect(self, image: Image, detail: str = "auto", threshold: float | None = None) -> tuple[Boxes, Scores]:
        """Detect the faces of `image`, RGB uint8 [H, W, 3].

        `detail` is "fast" (one small pass), "auto" (faces from 1/40 of the long side, of a panorama from 1/40 of a
        square of its area, up to one that fills the image) or "thorough" (also faces of 16 pixels in a 12-megapixel
        image). `threshold` is in 0..1.

        Returns boxes float32 [N, 4], x0 y0 x1 y1 in pixels of `image`, clipped to it, and scores float32 [N], best
        first; at most `settings.MAX_FACES`, the largest. Nothing found is N = 0.

        Raises:
            BadArray: `image` is not uint8 [H, W, 3].
            BadOption: `detail` or `threshold` is outside its range.
            TookTooLong: a limit set by `deadline.within` has passed.
        """
        check_image(image)
        self.check_options(detail, threshold)
        threshold = self.default_threshold if threshold is None else float(threshold)
        return keep_largest(*join(self.passes(image, detail, threshold), image.shape[1], image.shape[0]))

    def detect_once(
        self, image: Image, side: int, threshold: float | None = None, enlarge: float = 1.0
    ) -> tuple[Boxes, Scores]:
        """Detect in one pass over the whole `image`, RGB uint8 [H, W, 3]: the bare network, for measurements.

        Its long side is reduced to `side` pixels, or enlarged to that, `enlarge` times at most. Returns and raises
        what `detect` does.
        """
        check_image(image)
        self.check_options(threshold=threshold)
        threshold = self.default_threshold if threshold is None else float(threshold)
        height, width = image.shape[:2]
        window = whole(width, height, side, enlarge)
        boxes, scores = self.detect_window(resize(image, window.size), window, threshold, (width, height))
        return keep_largest(*_postprocess(boxes, scores, width, height))

    def passes(self, image: Image, detail: str, threshold: float) -> list[tuple[Window, Boxes, Scores]]:
        """Windows of the passes of `detect`, with the boxes that each finds, in pixels of `image`, and scores."""
        height, width = image.shape[:2]
        found, reduced = [], image
        for window in self._plan(width, height, detail):
            deadline.check()
            part = reduced if window.covers(width, height) and _is_within(window.size, reduced) else window.cut(image)
            part = resize(part, window.size)
            if window.covers(width, height) and window.scale < 1:
                reduced = part  # smaller passes start from it
            found.append((window, *self.detect_window(part, window, threshold, (width, height))))
        return found

    @staticmethod
    def check_options(detail: Any = "auto", threshold: Any = None) -> None:
        """Check the options of `detect`.

        Raises:
            BadOption: `detail` or `threshold` is outside its range.
        """
        if detail not in settings.DETAILS:
            raise BadOption(f"detail must be one of {', '.join(settings.DETAILS)}, but is {detail!r}.")
        if threshold is not None and not _is_score(threshold):
            raise BadOption(f"The detection threshold must be a number from 0 to 1, but is {_short_repr(threshold)}.")

    @abstractmethod
    def _run(self, image: Image, threshold: float) -> tuple[Boxes, Scores]:
        """Run the network on one RGB image at its own size: boxes in its pixels, scores of at least `threshold`."""

    def _plan(self, width: int, height: int, detail: str) -> list[Window]:
        if detail == "fast":
            return [whole(width, height, self.fast_side)]
        return plan(width, height, self.enlarge, self.tile_side if detail == "thorough" else None)

    def detect_window(
        self, part: Image, window: Window, threshold: float, size: tuple[int, int]
    ) -> tuple[Boxes, Scores]:
        """Boxes in `part`, which is `window` of an image of that (width, height), in pixels of the image."""
        boxes, scores = self._run(np.ascontiguousarray(part), threshold)
        if not len(boxes):
            return empty()
        kept = ~_cut_by_tile(boxes, window, *size) & ((boxes[:, 2:] - boxes[:, :2]).max(axis=1) >= window.least_px)
        boxes, scores, (columns, rows) = boxes[kept], scores[kept], window.size
        x_scale, y_scale = (window.x1 - window.x0) / columns, (window.y1 - window.y0) / rows
        boxes = boxes * np.array([x_scale, y_scale] * 2) + np.array([window.x0, window.y0] * 2)
        return boxes.astype(np.float32), scores.astype(np.float32)


def _is_within(size: tuple[int, int], image: Image) -> bool:
    return bool(size[0] <= image.shape[1] and size[1] <= image.shape[0])


def _cut_by_tile(boxes: Boxes, window: Window, width: int, height: int) -> npt.NDArray[np.bool_]:
    """Mask of the boxes that touch a border of the tile that is not the image's.

    Such a face lies whole in the next tile, or is so large that a reduced pass finds it; its cut part would survive
    beside it.
    """
    columns, rows = window.size
    cut = np.zeros(len(boxes), bool)
    cut |= (window.x0 > 0) & (boxes[:, 0] < _CUT_PX)
    cut |= (window.y0 > 0) & (boxes[:, 1] < _CUT_PX)
    cut |= (window.x1 < width) & (boxes[:, 2] > columns - _CUT_PX)
    cut |= (window.y1 < height) & (boxes[:, 3] > rows - _CUT_PX)
    return cut


def join(passes: Sequence[tuple[Window, Boxes, Scores]], width: int, height: int) -> tuple[Boxes, Scores]:
    """Boxes and scores of all passes over an image of that size: one box per face, best first, of any number."""
    boxes, scores = (np.concatenate([found[column] for found in passes]) for column in (1, 2))
    return _postprocess(boxes, scores, width, height)


def _postprocess(boxes: Boxes, scores: Scores, width: int, height: int) -> tuple[Boxes, Scores]:
    """Clip the boxes, keep one per face, and sort them by score."""
    boxes = clip(boxes, width, height)
    solid = np.isfinite(boxes).all(axis=1) & np.isfinite(scores) & ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(axis=1)
    boxes, scores = boxes[solid], np.clip(scores[solid], 0, 1)
    kept = suppress(boxes, scores, _SAME_FACE_IOU)
    return boxes[kept], scores[kept]


def keep_largest(boxes: Boxes, scores: Scores) -> tuple[Boxes, Scores]:
    """The largest `settings.MAX_FACES` boxes with their scores, in the order given."""
    kept = np.sort(np.argsort(-areas(boxes), kind="stable")[: settings.MAX_FACES])
    return boxes[kept], scores[kept]


def check_image(image: Any) -> None:
    """Check that an image is RGB uint8 [H, W, 3] and has pixels.

    Raises:
        BadArray: it is not.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        got = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
        raise BadArray(f"A picture must be an RGB array uint8 [H, W, 3], but got {got}. images.load makes one.")
    if image.size == 0:
        raise BadArray(f"A picture must have pixels, but its shape is {list(image.shape)}.")


def _is_score(value: Any) -> bool:
    """Whether the value is a number from 0 to 1; NaN is not.

    It is not converted: that fails for an integer of 400 digits.
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    return is_number and bool(0 <= value <= 1)


def _short_repr(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # Python writes out no whole number of more than 4300 digits
        return f"a {type(value).__name__} with too many digits to show"
