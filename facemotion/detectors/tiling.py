"""Plan of the detection passes: parts of the image and their scales, so that faces of all sizes are found."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

AUTO_SIDE = 640  # long side of the main pass; 1/40 of it is 16 pixels: above the 10 that the detectors need
STRIP_ASPECT = 2.5  # long side over short side, above which an image is split: panoramas
CLOSE_UP_SIDE = 256  # pixels; reduces a face that fills the image to a size known from training
COARSE_PX = 24  # smaller faces are left to a finer pass, whose boxes are more exact
TILE_OVERLAP = 160  # pixels; smaller faces lie whole in a tile, larger ones are found in reduced passes
_BLOCKS = (8, 4, 2)  # pixels; sides of camera images are multiples
TILED_PIXELS = 17_000_000  # larger images are reduced first; bounds the time of "thorough"


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the image, in its pixels, that is scaled by `scale` for one pass.

    Boxes whose longer side has fewer than `least_px` pixels after scaling are left to another window.
    """

    x0: int
    y0: int
    x1: int
    y1: int
    scale: float
    least_px: float = 0.0

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels after scaling, never below 1."""
        return max(1, round((self.x1 - self.x0) * self.scale)), max(1, round((self.y1 - self.y0) * self.scale))

    def covers(self, width: int, height: int) -> bool:
        """Whether the window is the whole of an image of that size."""
        return (self.x0, self.y0, self.x1, self.y1) == (0, 0, width, height)

    def cut(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The part of the image [H, W, 3], at full size; a view."""
        return image[self.y0 : self.y1, self.x0 : self.x1]


def resize(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Resize an image [H, W, 3] to (width, height): averaged when it shrinks, interpolated when it grows.

    Averaging whole blocks of pixels first, where the sides allow it, halves the time of a large photo.
    """
    for block in _BLOCKS:
        height, width = (side // block for side in image.shape[:2])
        whole_blocks = (height * block, width * block) == image.shape[:2]
        if whole_blocks and width >= size[0] and height >= size[1]:
            image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
            break
    if image.shape[1::-1] == size:
        return image
    way = cv2.INTER_LINEAR if size[0] > image.shape[1] else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, size, interpolation=way), np.uint8)


def whole(width: int, height: int, side: int, enlarge: float = 1.0) -> Window:
    """A window over the whole image, its long side scaled to `side` pixels, at most `enlarge` times."""
    return Window(0, 0, width, height, min(enlarge, side / max(width, height)))


def plan(width: int, height: int, enlarge: float, tile_side: int | None = None) -> list[Window]:
    """Windows of all passes: main, close-up, and tiles (with `tile_side`) or parts of a strip.

    A pass keeps only the faces that it sees well and no finer pass sees whole.
    """
    main, close_up = whole(width, height, AUTO_SIDE, enlarge), whole(width, height, CLOSE_UP_SIDE)
    parts = tiles(width, height, tile_side) if tile_side else strip(width, height)
    if close_up.scale < main.scale:
        close_up = replace(close_up, least_px=COARSE_PX)
    if parts and main.scale < parts[0].scale:
        whole_in_a_tile = TILE_OVERLAP * main.scale / parts[0].scale
        main = replace(main, least_px=min(COARSE_PX, whole_in_a_tile))
    return list(dict.fromkeys([main, close_up, *parts]))  # a small image is its own only tile


def strip(width: int, height: int) -> list[Window]:
    """Overlapping parts of an image longer than `STRIP_ASPECT`; none of other images.

    Together they have about the area that a square image has in the main pass. Reduced to `AUTO_SIDE`, a panorama of
    4 to 1 has a quarter of the pixels, and loses the faces that those would show.
    """
    short, long = sorted((width, height))
    scale = min(1.0, AUTO_SIDE / (width * height) ** 0.5)
    if long <= STRIP_ASPECT * short or scale * long <= AUTO_SIDE:
        return []
    return _grid(width, height, AUTO_SIDE, scale)


def tiles(width: int, height: int, side: int) -> list[Window]:
    """Overlapping tiles that cover the image, at most `side` pixels wide and high after scaling."""
    return _grid(width, height, side, min(1.0, (TILED_PIXELS / (width * height)) ** 0.5))


def _grid(width: int, height: int, side: int, scale: float) -> list[Window]:
    """A grid of the fewest tiles, shrunk to the smallest size that covers the image.

    Tiles of `side` would overlap by more than `TILE_OVERLAP`, and shared pixels are computed twice.
    """
    most, overlap = int(side / scale), int(TILE_OVERLAP / scale)
    columns, rows = _shortest_tile(width, most, overlap), _shortest_tile(height, most, overlap)
    return [
        Window(x, y, min(x + columns, width), min(y + rows, height), scale)
        for y in _starts(height, rows, overlap)
        for x in _starts(width, columns, overlap)
    ]


def _shortest_tile(length: int, side: int, overlap: int) -> int:
    """Shortest tile of which the same number, overlapping by `overlap`, covers `length`."""
    count = _tile_count(length, side, overlap)
    return -(-(length + (count - 1) * overlap) // count)


def _tile_count(length: int, side: int, overlap: int) -> int:
    """Number of tiles `side` long that cover `length` and overlap by at least `overlap`."""
    return 1 if length <= side else -(-(length - overlap) // (side - overlap))


def _starts(length: int, side: int, overlap: int) -> list[int]:
    """Evenly spread starts of tiles `side` long that cover `length` and overlap by at least `overlap`."""
    if length <= side:
        return [0]
    count = _tile_count(length, side, overlap)
    return [round(index * (length - side) / (count - 1)) for index in range(count)]
