"""Which parts of a picture a detector looks at, and how far each is reduced or enlarged, so that faces of all sizes are
found."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

AUTO_SIDE = 640  # long side of the main pass; 1/40 of it is 16 pixels: above the 10 that the detectors need
CLOSE_UP_SIDE = 256  # brings a face that fills the picture back to a size the detectors were trained on
TILE_OVERLAP = 160  # a face smaller than this lies whole in a tile; larger ones are found in the reduced passes
_BLOCKS = (8, 4, 2)  # sides in pixels; cameras' pictures are multiples of them
TILED_PIXELS = 17_000_000  # more is reduced first: bounds the time of a thorough look


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the picture, in its pixels, to be looked at with its sides multiplied by `scale`."""

    x0: int
    y0: int
    x1: int
    y1: int
    scale: float

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels after scaling, never below 1."""
        return max(1, round((self.x1 - self.x0) * self.scale)), max(1, round((self.y1 - self.y0) * self.scale))

    def covers(self, width: int, height: int) -> bool:
        """Whether it is the whole of a picture of that size."""
        return (self.x0, self.y0, self.x1, self.y1) == (0, 0, width, height)

    def cut(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """That part of the picture [H, W, 3], at full size; no copy."""
        return picture[self.y0 : self.y1, self.x0 : self.x1]


def resize(picture: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """A picture [H, W, 3] averaged down, or interpolated up, to `size`, its new (width, height).

    Averaging whole blocks of pixels first, where the sides allow it, halves the time of a large photo.
    """
    for block in _BLOCKS:
        height, width = (side // block for side in picture.shape[:2])
        whole_blocks = (height * block, width * block) == picture.shape[:2]
        if whole_blocks and width >= size[0] and height >= size[1]:
            picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
            break
    if picture.shape[1::-1] == size:
        return picture
    way = cv2.INTER_LINEAR if size[0] > picture.shape[1] else cv2.INTER_AREA
    return np.asarray(cv2.resize(picture, size, interpolation=way), np.uint8)


def whole(width: int, height: int, side: int, enlarge: float = 1.0) -> Window:
    """The whole picture, its long side reduced to `side` pixels if it is longer; if it is shorter, it is enlarged to
    that, `enlarge` times at most."""
    return Window(0, 0, width, height, min(enlarge, side / max(width, height)))


def tiles(width: int, height: int, side: int) -> list[Window]:
    """Overlapping parts that cover the picture, at most `side` pixels wide and high after scaling."""
    scale = min(1.0, (TILED_PIXELS / (width * height)) ** 0.5)
    length, overlap = int(side / scale), int(TILE_OVERLAP / scale)
    return [
        Window(x, y, min(x + length, width), min(y + length, height), scale)
        for y in _starts(height, length, overlap)
        for x in _starts(width, length, overlap)
    ]


def _starts(length: int, side: int, overlap: int) -> list[int]:
    """Evenly spread starts of stretches `side` long that cover `length` and overlap by at least `overlap`."""
    if length <= side:
        return [0]
    count = -(-(length - overlap) // (side - overlap))
    return [round(index * (length - side) / (count - 1)) for index in range(count)]
