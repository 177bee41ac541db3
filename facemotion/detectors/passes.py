"""Which parts of a picture a detector looks at, and how far each is reduced, so that faces of all sizes are found."""

from __future__ import annotations

from dataclasses import dataclass

AUTO_SIDE = 640  # long side of the main pass; 1/40 of it is 16 pixels: above the 10 that the detectors need
CLOSE_UP_SIDE = 256  # brings a face that fills the picture back to a size the detectors were trained on
TILE_OVERLAP = 160  # a face smaller than this lies whole in a tile; larger ones are found in the reduced passes
TILED_PIXELS = 17_000_000  # more is reduced first: bounds the time of a thorough look


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the picture, in its pixels, to be looked at with its sides multiplied by `scale` (at most 1)."""

    x0: int
    y0: int
    x1: int
    y1: int
    scale: float

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels after scaling, never below 1."""
        return max(1, round((self.x1 - self.x0) * self.scale)), max(1, round((self.y1 - self.y0) * self.scale))


def whole(width: int, height: int, side: int) -> Window:
    """The whole picture, its long side reduced to `side` pixels if it is longer."""
    return Window(0, 0, width, height, min(1.0, side / max(width, height)))


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
