"""Geometry on arrays of boxes: float32 [N, 4], x0 y0 x1 y1 in pixels, with scores float32 [N]."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float32]


def empty() -> tuple[Boxes, Scores]:
    """No boxes: shapes (0, 4) and (0,)."""
    return np.zeros((0, 4), np.float32), np.zeros(0, np.float32)


def areas(boxes: Boxes) -> npt.NDArray[np.float32]:
    """Square pixels, [N]."""
    sizes = np.asarray(boxes[:, 2:] - boxes[:, :2], np.float32)
    return sizes[:, 0] * sizes[:, 1]


def clip(boxes: Boxes, width: int, height: int) -> Boxes:
    """The parts of the boxes that lie inside a picture of this size."""
    return np.clip(boxes, 0, np.array([width, height, width, height], np.float32)).astype(np.float32)


def intersections(boxes: Boxes, others: Boxes) -> npt.NDArray[np.float32]:
    """Square pixels that each box shares with each other one: [N, M]."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.asarray(np.maximum(high - low, 0).prod(axis=2), np.float32)


def ious(boxes: Boxes, others: Boxes) -> npt.NDArray[np.float32]:
    """Intersection over union of each box with each other one: [N, M]."""
    shared = intersections(boxes, others)
    union = areas(boxes)[:, None] + areas(others)[None] - shared
    return np.asarray(shared / np.maximum(union, 1e-9), np.float32)


def suppress(boxes: Boxes, scores: Scores, iou: float) -> npt.NDArray[np.intp]:
    """Greedy non-maximum suppression: the indices kept, best score first, no two overlapping by more than `iou`."""
    order = np.argsort(-scores, kind="stable")
    area = areas(boxes)
    kept: list[int] = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        corner0 = np.maximum(boxes[best, :2], boxes[rest, :2])
        corner1 = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        shared = np.prod(np.maximum(corner1 - corner0, 0), axis=1)
        order = rest[shared <= iou * (area[best] + area[rest] - shared)]
    return np.array(kept, np.intp)
