"""Geometry of boxes: float32 [N, 4], x0 y0 x1 y1 in pixels, with scores float32 [N]."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float32]
_Numbers = npt.NDArray[Any]  # float32 or float64; the result has the same type

_LEAST_AREA = 1e-9  # square pixels; two boxes without area overlap by 0


def empty() -> tuple[Boxes, Scores]:
    """No boxes: shapes (0, 4) and (0,)."""
    return np.zeros((0, 4), np.float32), np.zeros(0, np.float32)


def areas(boxes: _Numbers) -> _Numbers:
    """Areas in square pixels, [N]."""
    sizes = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(sizes[:, 0] * sizes[:, 1])


def intersections(boxes: _Numbers, others: _Numbers) -> _Numbers:
    """Square pixels that each box [N, 4] shares with each other box [M, 4]: [N, M]."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.asarray(np.maximum(high - low, 0).prod(axis=2))


def ious(boxes: _Numbers, others: _Numbers) -> _Numbers:
    """Intersection over union of each box [N, 4] with each other box [M, 4]: [N, M] in 0..1."""
    shared = intersections(boxes, others)
    return np.asarray(shared / np.maximum(areas(boxes)[:, None] + areas(others)[None] - shared, _LEAST_AREA))


def clip(boxes: Boxes, width: int, height: int) -> Boxes:
    """The parts of the boxes that lie inside an image of this size."""
    return np.clip(boxes, 0, np.array([width, height, width, height], np.float32)).astype(np.float32)


def suppress(boxes: Boxes, scores: Scores, iou: float) -> npt.NDArray[np.intp]:
    """Greedy non-maximum suppression: indices of the boxes kept, best score first.

    No two kept boxes overlap by more than `iou`.
    """
    sizes = boxes[:, 2:].astype(np.float64) - boxes[:, :2]
    rectangles = np.concatenate([boxes[:, :2], sizes], axis=1)
    positive = np.maximum(scores, np.finfo(np.float32).tiny)  # OpenCV drops scores of 0
    kept = cv2.dnn.NMSBoxes(rectangles.tolist(), positive.tolist(), 0.0, iou)
    return np.asarray(kept, np.intp).reshape(-1)
