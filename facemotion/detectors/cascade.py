"""Cascade of two detectors: the second checks the boxes that the first scores as doubtful.

Two networks of different design seldom make the same mistake, such as the head of a cat for a face; one network at two
scales seldom repeats it either. The second detector looks at the enlarged surroundings of the box, so it also confirms
small faces. docs/results.md tells under "Doubtful faces" how the constants were chosen and measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from facemotion import deadline
from facemotion.detectors.base import FaceDetector, Image, check_image, join, keep_largest
from facemotion.detectors.boxes import Boxes, Scores, areas, clip, ious
from facemotion.detectors.tiling import COARSE_PX, Window, resize

DOUBTFUL = (0.2, 0.6)  # scores of the first detector from which on, and below which, a box is looked at again
PASS_WEIGHT = 0.5  # of the least score in a pass that sees the face well
SECOND_WEIGHT = 0.3  # of the second detector's score
MARGIN = 1.0  # around the box, in its longer sides: a face is recognised by the head and shoulders too
CHECKED_SIDE = 128  # pixels of what the second detector looks at; the face has a third of them
MAX_CHECKED = 16  # boxes that are looked at again, the largest ones; bounds the time of crowds
_SEEN_PX = 1.2 * COARSE_PX  # a pass sees such boxes well, even if they are somewhat smaller there
_SAME_IN_PASSES, _SAME_IN_BOTH = 0.5, 0.4  # overlaps; boxes of two detectors differ more
_LEAST_SCORE = 0.02  # of both detectors, at every threshold: a face's score does not depend on the one asked for

Passes = Sequence[tuple[Window, Boxes, Scores]]


class Cascade(FaceDetector):
    """Detects with `first`; its doubtful scores are averaged with those of its other passes and of `second`.

    `detail="fast"` and `detect_once` use `first` alone. The default threshold and the passes are those of `first`.
    """

    def __init__(self, first: FaceDetector, second: FaceDetector) -> None:
        super().__init__(f"{first.description} + {second.description}", first.notice)
        self.default_threshold, self.enlarge = first.default_threshold, first.enlarge
        self.fast_side, self.tile_side = first.fast_side, first.tile_side
        self.first, self.second = first, second

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.first, self.second), {"default_threshold": self.default_threshold}

    def detect(self, image: Image, detail: str = "auto", threshold: float | None = None) -> tuple[Boxes, Scores]:
        """Detect the faces of `image`; see `FaceDetector.detect`."""
        check_image(image)
        self.check_options(detail, threshold)
        threshold = self.default_threshold if threshold is None else float(threshold)
        if detail == "fast":
            return self.first.detect(image, detail, threshold)
        passes = self.first.passes(image, detail, min(threshold, _LEAST_SCORE))
        boxes, scores = join(passes, image.shape[1], image.shape[0])
        scores = self._confirm(image, boxes, scores, passes)
        best = np.argsort(-scores, kind="stable")
        best = best[scores[best] >= threshold]
        return keep_largest(boxes[best], scores[best])  # not before: a rejected box takes no face's place

    def _run(self, image: Image, threshold: float) -> tuple[Boxes, Scores]:
        return self.first._run(image, threshold)

    def _confirm(self, image: Image, boxes: Boxes, scores: Scores, passes: Passes) -> Scores:
        """Scores [N] after the check: doubtful ones are means with other passes and the second detector."""
        (doubtful,) = np.nonzero((scores >= DOUBTFUL[0]) & (scores < DOUBTFUL[1]))
        largest = doubtful[np.argsort(-areas(boxes[doubtful]), kind="stable")[:MAX_CHECKED]]
        confirmed = np.array(scores, np.float32)
        again = _mean_of_passes(boxes[largest], scores[largest], passes, (image.shape[1], image.shape[0]))
        for index, score in zip(largest, again, strict=True):
            deadline.check()
            second = self._second_score(image, boxes[index])
            confirmed[index] = (1 - SECOND_WEIGHT) * score + SECOND_WEIGHT * second
        return confirmed

    def _second_score(self, image: Image, box: npt.NDArray[np.float32]) -> float:
        """The second detector's score of the face in `box`, 0 where it finds none."""
        size = (image.shape[1], image.shape[0])
        window = _around(box, *size)
        part = resize(window.cut(image), window.size)
        boxes, scores = self.second.detect_window(part, window, _LEAST_SCORE, size)
        return float(scores[ious(box[None], clip(boxes, *size))[0] >= _SAME_IN_BOTH].max(initial=0))


def _mean_of_passes(boxes: Boxes, scores: Scores, passes: Passes, size: tuple[int, int]) -> Scores:
    """Scores [N] of boxes, those of large boxes averaged with their least score in a pass over the whole image.

    Large boxes are those that even the smallest pass sees well.
    """
    whole = [found for found in passes if found[0].covers(*size)]
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
    large = sides * min(window.scale for window, _, _ in whole) >= _SEEN_PX
    least = scores.copy()
    for _, others, other_scores in whole:
        same = (ious(boxes, clip(others, *size)) >= _SAME_IN_PASSES) & (other_scores >= _LEAST_SCORE)
        least = np.minimum(least, (same * other_scores).max(axis=1, initial=0))
    return np.asarray(np.where(large, (1 - PASS_WEIGHT) * scores + PASS_WEIGHT * least, scores), np.float32)


def _around(box: npt.NDArray[np.float32], width: int, height: int) -> Window:
    """The window of the square around `box` with `MARGIN`, cut at the borders of an image of that size."""
    side = float((box[2:] - box[:2]).max()) * (1 + 2 * MARGIN)
    x, y = (box[:2] + box[2:]) / 2
    x0, y0 = max(0, int(x - side / 2)), max(0, int(y - side / 2))
    x1, y1 = min(width, int(np.ceil(x + side / 2))), min(height, int(np.ceil(y + side / 2)))
    return Window(x0, y0, x1, y1, CHECKED_SIDE / side)
