"""Layout of labels: inside the image, beside their faces, clear of each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Rect = tuple[int, int, int, int]
"""x0, y0, x1, y1 in whole pixels, x1 and y1 just outside."""

_INSIDE_SHARE = 0.3  # largest share of its face that a label may cover
_MAX_WIDENING = 3.2  # largest width of a label in widths of its face


class Layout:
    """Places labels one by one in an image of `width` x `height` pixels.

    `faces` are the boxes as drawn, all of them: a label keeps clear of every face but its own.
    """

    def __init__(self, width: int, height: int, faces: Sequence[Rect]) -> None:
        self._width, self._height, self._faces = width, height, faces
        self._obstacles = np.array(faces, dtype=np.int64).reshape(-1, 4)

    def place(self, index: int, sizes: Sequence[tuple[int, int]]) -> tuple[int, Rect]:
        """Find a place for the label of `faces[index]`.

        `sizes` are the (width, height) of its forms, the fullest first. The first form that fits beside the face
        without covering another face or label wins; where none does, the last form goes where it covers least.

        Returns:
            The index of the form chosen, and its rectangle, which lies inside the image unless it is larger.
        """
        face, last = self._faces[index], len(sizes) - 1
        obstacles = np.delete(self._obstacles, index, axis=0)
        for form, size in enumerate(sizes):
            if form < last and size[0] > _MAX_WIDENING * (face[2] - face[0]):
                continue
            for rect in self._candidates(face, size):
                if not _covered_pixels(rect, obstacles):
                    return form, self._occupy(rect)
        spots = list(self._candidates(face, sizes[last])) or [self._clamp(face[0], face[1], sizes[last])]
        return last, self._occupy(min(spots, key=lambda rect: _covered_pixels(rect, obstacles)))

    def _occupy(self, rect: Rect) -> Rect:
        self._obstacles = np.vstack([self._obstacles, rect])
        return rect

    def _candidates(self, face: Rect, size: tuple[int, int]) -> Iterator[Rect]:
        """Places for a label, best first: above, below, then inside a face large enough."""
        width, height = size
        x0, y0, x1, y1 = face
        heights = [y for y in (y0 - height, y1) if 0 <= y <= self._height - height]
        if height <= _INSIDE_SHARE * (y1 - y0):
            heights += [y1 - height, y0]
        for y in heights:
            for x in dict.fromkeys((x0, x1 - width, (x0 + x1 - width) // 2)):
                yield self._clamp(x, y, size)

    def _clamp(self, x: int, y: int, size: tuple[int, int]) -> Rect:
        x = max(0, min(x, self._width - size[0]))
        y = max(0, min(y, self._height - size[1]))
        return x, y, x + size[0], y + size[1]


def _covered_pixels(rect: Rect, obstacles: npt.NDArray[np.int64]) -> int:
    """Number of pixels of `obstacles` [N, 4] under `rect`, counted once per obstacle."""
    width = np.minimum(obstacles[:, 2], rect[2]) - np.maximum(obstacles[:, 0], rect[0])
    height = np.minimum(obstacles[:, 3], rect[3]) - np.maximum(obstacles[:, 1], rect[1])
    return int(np.dot(np.maximum(width, 0), np.maximum(height, 0)))
