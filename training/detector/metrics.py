"""Detection metrics: average precision as COCO computes it, precision and recall at a threshold."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from facemotion.detectors.boxes import Boxes, areas, ious

IOU = 0.5  # from this overlap on, a box has found a face
MOST_BOXES = 300  # per picture


@dataclass(frozen=True)
class Found:
    """Detections and ground truth of an image: boxes [N, 4] x0 y0 x1 y1, scores [N], faces [M, 4]."""

    boxes: Boxes
    scores: NDArray[np.float32]
    faces: Boxes


def sides(boxes: Boxes) -> NDArray[np.float32]:
    """The size of a face in pixels: the side of the square of the box's area, [N]."""
    return np.asarray(np.sqrt(areas(boxes)), np.float32)


def average_precision(found: Sequence[Found], least_px: float) -> tuple[float, float]:
    """Average precision at IoU 0.5, and its mean over IoU 0.5, 0.55 ... 0.95.

    Smaller faces than `least_px` (`sides`) are ignored: neither missing them nor finding them counts, and no more does
    a box of that size that finds nothing. NaN where no face is that large.
    """
    truth, results = COCO(), _results(found)
    truth.dataset = _dataset(found)
    with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress
        truth.createIndex()
        scored = COCOeval(truth, truth.loadRes(results) if results else _nothing(truth), "bbox")
        scored.params.areaRng, scored.params.areaRngLbl = [[least_px**2, 1e10]], ["all"]
        scored.params.maxDets = [MOST_BOXES]
        scored.evaluate()
        scored.accumulate()
    precision = scored.eval["precision"][:, :, 0, 0, 0]  # IoU, recall
    if (precision == -1).all():
        return float("nan"), float("nan")
    return float(precision[0].mean()), float(precision.mean())


def at_threshold(found: Sequence[Found], threshold: float, least_px: float) -> dict[str, float]:
    """Precision, recall and the number of false alarms of the boxes that score `threshold` or more."""
    hits = alarms = faces = 0
    for picture in found:
        wanted = sides(picture.faces) >= least_px
        kept = picture.scores >= threshold
        face_of = matched(picture.boxes[kept], picture.scores[kept], picture.faces)
        found_faces = set(face_of[face_of >= 0].tolist())
        hits += sum(bool(wanted[face]) for face in found_faces)
        alarms += int(((face_of < 0) & (sides(picture.boxes[kept]) >= least_px)).sum())
        faces += int(wanted.sum())
    shown = hits + alarms
    return {
        "precision": hits / shown if shown else float("nan"),
        "recall": hits / faces if faces else float("nan"),
        "false_alarms": alarms,
        "faces": faces,
    }


def matched(boxes: Boxes, scores: NDArray[np.float32], faces: Boxes) -> NDArray[np.int64]:
    """For each box the face that it finds, or -1: the best box first, each face once."""
    face_of = np.full(len(boxes), -1, np.int64)
    shares = ious(boxes, faces)
    for box in np.argsort(-scores, kind="stable"):
        if len(faces) and shares[box].max() >= IOU:
            face_of[box] = shares[box].argmax()
            shares[:, face_of[box]] = 0
    return face_of


def curve(found: Sequence[Found], least_px: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Recall and precision at every threshold, the highest first, of boxes and faces of `least_px` and more."""
    scores, hits, faces = [], [], 0
    for picture in found:
        face_of = matched(picture.boxes, picture.scores, picture.faces)
        wanted = sides(picture.faces) >= least_px
        is_hit = face_of >= 0
        counts = sides(picture.boxes) >= least_px
        counts[is_hit] = wanted[face_of[is_hit]]
        scores.append(picture.scores[counts])
        hits.append(is_hit[counts])
        faces += int(wanted.sum())
    order = np.argsort(-np.concatenate([*scores, np.zeros(0)]), kind="stable")
    right = np.cumsum(np.concatenate([*hits, np.zeros(0, bool)])[order])
    return right / max(1, faces), right / np.arange(1, len(right) + 1)


def _dataset(found: Sequence[Found]) -> dict[str, Any]:
    faces = [(number, face) for number, picture in enumerate(found) for face in picture.faces]
    return {
        "info": {},
        "images": [{"id": number} for number in range(len(found))],
        "categories": [{"id": 1, "name": "face"}],
        "annotations": [
            {"id": n + 1, "image_id": image, "bbox": _xywh(f), "area": float(areas(f[None])[0])}
            | {"category_id": 1, "iscrowd": 0}
            for n, (image, f) in enumerate(faces)
        ],
    }


def _results(found: Sequence[Found]) -> list[dict[str, Any]]:
    return [
        {"image_id": number, "category_id": 1, "bbox": _xywh(box), "score": float(score)}
        for number, picture in enumerate(found)
        for box, score in zip(picture.boxes, picture.scores, strict=True)
    ]


def _nothing(truth: COCO) -> COCO:
    """What `loadRes` makes of results, when there are none, which it cannot read."""
    empty = COCO()
    empty.dataset = truth.dataset | {"annotations": []}
    empty.createIndex()
    return empty


def _xywh(box: NDArray[np.float32]) -> list[float]:
    x0, y0, x1, y1 = map(float, box)
    return [x0, y0, x1 - x0, y1 - y0]
