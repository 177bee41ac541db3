"""Label cleaning: fusion of several detectors, or distillation of one teacher. Pure functions.

Boxes are float32 [N, 4], x0 y0 x1 y1 in pixels of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facemotion.detectors.boxes import Boxes, areas, intersections, ious, suppress
from training.detector.metrics import sides

# A label is tightened to what the teachers say where it overlaps that by so much: less may be another face, and
# more is as good as the teachers are.
SAME_FACE, TIGHT = 0.4, 0.85
AGREED = 0.8  # overlap of two teachers' boxes that are to replace a label
SEEN = 0.6  # overlap of two teachers' boxes that prove a face nobody has labelled: small faces' boxes differ more
SURE = 0.15  # so far above its own threshold must a teacher score for that
APART = 0.2  # an added face overlaps no label by more, nor lies in one by more than half
LEAST_SCORE = 0.15  # of a teacher's box that is learned from, as an uncertain face
CERTAIN_SCORE = 0.7  # of a YOLO: its scores of clear faces are .7 to .9
UNCONFIRMED = 0.5  # confidence of a label by people that the teacher does not find: most are blurs of a few pixels
ADDED_PX = 10.0  # the smallest face that is added (`detection_metrics.sides`): below, detectors find texture too


@dataclass(frozen=True)
class TeacherDetections:
    """Detections of a teacher in an image: boxes [N, 4], scores [N], and its threshold."""

    boxes: Boxes
    scores: NDArray[np.float32]
    threshold: float

    @property
    def shown(self) -> Boxes:
        """The boxes that it would show."""
        return self.boxes[self.scores >= self.threshold]

    @property
    def sure(self) -> Boxes:
        """The boxes that prove a face, where a second teacher has them too."""
        return self.boxes[self.scores >= self.threshold + SURE]


@dataclass(frozen=True)
class CleanedLabels:
    """The labels after fusing: boxes [N, 4]; which of the given were tightened, bool [M]; how many were added; and the
    confidence of each box, float32 [N] in 0..1, the score to learn."""

    boxes: Boxes
    tightened: NDArray[np.bool_]
    added: int
    confidence: NDArray[np.float32]


def fuse(labels: Boxes, seen: Sequence[TeacherDetections], loose: bool) -> CleanedLabels:
    """The labels [M, 4] of a picture, with what at least two teachers agree on. They keep their order; faces that are
    added come last. Boxes are tightened only where the labels are `loose`."""
    tight = tighten(labels, [teacher.shown for teacher in seen]) if loose else labels
    new = unlabelled(tight, [teacher.sure for teacher in seen])
    changed = (tight != labels).any(axis=1)
    boxes = np.concatenate([tight, new]).astype(np.float32)
    return CleanedLabels(boxes, changed, len(new), np.ones(len(boxes), np.float32))


def distill_labels(labels: Boxes, teacher: TeacherDetections, labelled_by: str = "people") -> CleanedLabels:
    """The labels [M, 4] of a photo with a teacher's boxes and scores. Labels keep their order; added faces come last.

    A label that the teacher finds too takes the teacher's tight box, so that all sets agree about what a box is. A
    label by people is certain where the teacher agrees and half certain elsewhere; all other boxes have the confidence
    that `softened` makes of the teacher's score. Boxes on no label are added, unless no face is known to be there.
    """
    boxes, confidence = labels.copy(), np.full(len(labels), UNCONFIRMED, np.float32)
    found = teacher.scores >= LEAST_SCORE
    shown, scores = teacher.boxes[found], teacher.scores[found]
    soft = softened(scores)
    free = np.ones(len(shown), bool)
    for label, box in _pairs(ious(labels, shown)):
        boxes[label], free[box] = shown[box], False
        confidence[label] = 1 if labelled_by == "people" else soft[box]
    added = free & ~near(shown, boxes) & (labelled_by != "none")
    tightened = (boxes != labels).any(axis=1)
    every = np.concatenate([boxes, shown[added]]).astype(np.float32)
    return CleanedLabels(
        every, tightened, int(added.sum()), np.concatenate([confidence, soft[added]]).astype(np.float32)
    )


def softened(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Target confidence from a teacher's scores: 1 from `CERTAIN_SCORE` on, proportional below."""
    return np.asarray(np.clip(scores / CERTAIN_SCORE, 0, 1), np.float32)


def _pairs(shares: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Row and column of the pairs that overlap by `SAME_FACE` or more, the best first, each row and column once."""
    shares, found = shares.copy(), []
    while shares.size and shares.max() >= SAME_FACE:
        row, column = (int(at) for at in np.unravel_index(shares.argmax(), shares.shape))
        found.append((row, column))
        shares[row], shares[:, column] = 0, 0
    return found


def tighten(labels: Boxes, teachers: Sequence[Boxes]) -> Boxes:
    """Each label as the mean of the teachers' boxes on it, if at least two have one there, all of these agree, and
    the label is neither far from the mean nor already as tight: [M, 4]."""
    tight: Boxes = labels.copy()
    for row, label in enumerate(labels):
        nearest = [box for boxes in teachers if (box := _nearest(label, boxes)) is not None]
        if len(nearest) < 2:
            continue
        boxes = np.stack(nearest)
        mean = boxes.mean(axis=0)
        share = ious(label[None], mean[None])[0, 0]
        if ious(boxes, boxes).min() >= AGREED and SAME_FACE <= share <= TIGHT:
            tight[row] = mean
    return tight


def _nearest(label: NDArray[np.float32], boxes: Boxes) -> NDArray[np.float32] | None:
    if not len(boxes):
        return None
    shares = ious(label[None], boxes)[0]
    return np.asarray(boxes[shares.argmax()]) if shares.max() >= SAME_FACE else None


def unlabelled(labels: Boxes, teachers: Sequence[Boxes]) -> Boxes:
    """Faces that at least two teachers see and no label names, as the mean of those teachers' boxes: [K, 4]."""
    everything = np.concatenate([*teachers, np.zeros((0, 4), np.float32)])
    owner = np.repeat(np.arange(len(teachers)), [len(boxes) for boxes in teachers])
    same = ious(everything, everything) >= SEEN
    votes = np.array([len(set(owner[row])) for row in same], np.float32)
    candidates = [everything[row].mean(axis=0) for row, count in zip(same, votes, strict=True) if count >= 2]
    found = np.array(candidates, np.float32).reshape(-1, 4)
    found = found[suppress(found, votes[votes >= 2], APART)]
    return found[(sides(found) >= ADDED_PX) & ~near(found, labels)]


def near(boxes: Boxes, labels: Boxes) -> NDArray[np.bool_]:
    """Which boxes overlap a label, or lie in one, or hold one: bool [N]."""
    if not len(labels) or not len(boxes):
        return np.zeros(len(boxes), bool)
    smaller = np.minimum(areas(boxes)[:, None], areas(labels)[None])
    inside = intersections(boxes, labels) / np.maximum(smaller, 1e-9)
    return np.asarray((ious(boxes, labels) > APART).any(axis=1) | (inside > 0.5).any(axis=1))
