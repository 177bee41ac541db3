"""Conversion of decoded frames to upright RGB of one size."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from facemotion import settings
from facemotion.errors import BadShape
from facemotion.video import hdr

LONG_SIDE = 1280  # pixels; 4K takes nine times as long to encode and shows no more faces
_HD_HEIGHT = 720  # pixels; default colours are ITU-R BT.709 from here on, BT.601 below
_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_WIDEST_PIXEL = 4  # largest plausible aspect ratio of a pixel
_BT709, _BT601 = "ITU709", "ITU601"
_BT2020 = 9  # AVCOL_SPC_BT2020_NCL
_ROUNDING = 2  # pixels between a side and its even size


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame: RGB uint8 [H, W, 3], upright; its time from the beginning and its duration, in seconds."""

    pixels: NDArray[np.uint8]
    time_s: float
    duration_s: float


@dataclass(frozen=True, slots=True)
class Orientation:
    """Orientation of stored frames: rows and columns are exchanged, then columns and rows are reversed."""

    transposed: bool = False
    mirrored: bool = False
    flipped: bool = False

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Orientation:
        """The orientation nearest to the frame's display matrix; that of the file without a matrix.

        The matrix takes column x and row y to column ax + cy and row bx + dy (ISO/IEC 14496-12, section 6.2.2). A front
        camera's has a negative determinant: its images are mirrored, which no rotation can tell.
        """
        matrix: Any = frame.side_data.get("DISPLAYMATRIX")
        if matrix is None:
            return cls()
        a, b, _, c, d = map(int, np.frombuffer(matrix, np.int32, 5))
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(False, a < 0, d < 0)
        return cls(True, c < 0, b < 0)

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn [H, W, 3] upright; a view."""
        turned = pixels.transpose(1, 0, 2) if self.transposed else pixels
        return turned[:: -1 if self.flipped else 1, :: -1 if self.mirrored else 1]


@dataclass(frozen=True, slots=True)
class Geometry:
    """Size and pixel aspect of the frames of a video.

    `size` is the (width, height) of the result, `source_size` that of the file upright, `pixel_aspect` the width over
    the height of one stored pixel.
    """

    size: tuple[int, int]
    source_size: tuple[int, int]
    pixel_aspect: float

    @classmethod
    def of(cls, frame: av.VideoFrame, pixel_aspect: Fraction | None) -> Geometry:
        """Geometry of the video with this first frame.

        Args:
            pixel_aspect: width over height of one of its pixels; None for square ones.

        Raises:
            BadShape: it is too small or too thin to hold a face.
        """
        aspect = _valid_aspect(pixel_aspect)
        width, height = frame.width * aspect, float(frame.height)
        if Orientation.of(frame).transposed:
            width, height = height, width
        short, long = sorted((width, height))
        if short < settings.MIN_SIDE or long / short > settings.MAX_ASPECT:
            raise BadShape(
                f"This video is {frame.width} x {frame.height} pixels: too small or too thin to hold a face. Its sides "
                f"must have {settings.MIN_SIDE} pixels, the longer at most {settings.MAX_ASPECT} times the shorter."
            )
        scale = min(1.0, LONG_SIDE / long)
        return cls((_even(width * scale), _even(height * scale)), (round(width), round(height)), aspect)

    def apply(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """Convert a frame to RGB uint8 [H, W, 3] of `size`.

        A phone that is turned over while a browser records changes the size of the frames: they keep their proportions,
        in the middle of black.
        """
        orientation = Orientation.of(frame)
        room = self.size[::-1] if orientation.transposed else self.size
        pixels = orientation.apply(_rgb(frame, *_fit(frame.width * self.pixel_aspect, frame.height, room)))
        return _pad(pixels, self.size)


def _fit(width: float, height: float, room: tuple[int, int]) -> tuple[int, int]:
    """The largest (width, height) of these proportions in `room`; all of `room` within rounding."""
    scale = min(room[0] / width, room[1] / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    spare = max(room[0] - size[0], room[1] - size[1])
    return room if spare <= _ROUNDING else size


def _rgb(frame: av.VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
    """RGB uint8 [H, W, 3] of that size, in the colours of ITU-R BT.709."""
    high = hdr.is_hdr(frame)
    smaller = frame.width > width or frame.height > height
    scaled = frame.reformat(
        width,
        height,
        "rgb48le" if high else "rgb24",
        src_colorspace=_colours(frame),
        interpolation="AREA" if smaller else "BICUBIC",
    )
    pixels: NDArray[Any] = scaled.to_ndarray()
    return hdr.to_bt709(pixels, frame) if high else pixels


def _pad(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Centre the pixels on black in a contiguous image of that (width, height)."""
    height, width = pixels.shape[:2]
    if (width, height) == size:
        return np.ascontiguousarray(pixels)
    whole = np.zeros((size[1], size[0], 3), np.uint8)
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    whole[top : top + height, left : left + width] = pixels
    return whole


def _even(side: float) -> int:
    """Nearest even side: H.264 in 4:2:0, which all browsers play, needs even sides."""
    return max(2, round(side / 2) * 2)


def _valid_aspect(pixel_aspect: Fraction | None) -> float:
    ratio = float(pixel_aspect or 1)
    return ratio if 1 / _WIDEST_PIXEL <= ratio <= _WIDEST_PIXEL else 1.0


def _colours(frame: av.VideoFrame) -> str | int:
    if frame.colorspace != _UNSPECIFIED:
        return frame.colorspace
    if hdr.is_hdr(frame):
        return _BT2020
    return _BT709 if frame.height >= _HD_HEIGHT else _BT601
