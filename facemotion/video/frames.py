"""One decoded frame -> upright RGB of the size that the whole video is drawn at."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from facemotion import settings
from facemotion.errors import BadShape

LONG_SIDE = 1280  # pixels of what is analysed and drawn; 4K takes nine times as long to encode and shows no more faces
_HD_HEIGHT = 720  # from here on a video that does not say so has the colours of ITU-R BT.709, below those of BT.601
_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_WIDEST_PIXEL = 4  # width over height of one pixel, or the other way; what is beyond is a broken header
_BT709, _BT601 = "ITU709", "ITU601"


@dataclass(frozen=True, slots=True)
class Frame:
    """RGB uint8 [H, W, 3], upright, and when it is shown, in seconds from the beginning of the video."""

    pixels: NDArray[np.uint8]
    time_s: float


@dataclass(frozen=True, slots=True)
class Geometry:
    """What turns the frames of a video upright and brings them to one even size.

    `size` is the (width, height) of the result, `source_size` that of the file upright, `quarter_turns` counts
    counterclockwise.
    """

    size: tuple[int, int]
    source_size: tuple[int, int]
    quarter_turns: int

    @classmethod
    def of(cls, frame: av.VideoFrame, pixel_aspect: Fraction | None) -> Geometry:
        """The geometry of the video whose first frame this is.

        Args:
            pixel_aspect: width over height of one of its pixels; None for square ones.

        Raises:
            BadShape: it is too small or too thin to hold a face.
        """
        turns = round(frame.rotation / 90) % 4
        width, height = frame.width * _sane(pixel_aspect), float(frame.height)
        if turns % 2:
            width, height = height, width
        short, long = sorted((width, height))
        if short < settings.MIN_SIDE or long / short > settings.MAX_ASPECT:
            raise BadShape(
                f"This video is {frame.width} x {frame.height} pixels: too small or too thin to hold a face. Its sides "
                f"must have {settings.MIN_SIDE} pixels, the longer at most {settings.MAX_ASPECT} times the shorter."
            )
        scale = min(1.0, LONG_SIDE / long)
        return cls((_even(width * scale), _even(height * scale)), (round(width), round(height)), turns)

    def apply(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """RGB uint8 [H, W, 3] of `size`; frames whose size changes on the way are brought to it too."""
        width, height = self.size if self.quarter_turns % 2 == 0 else self.size[::-1]
        smaller = frame.width > width or frame.height > height
        scaled = frame.reformat(
            width, height, "rgb24", src_colorspace=_colours(frame), interpolation="AREA" if smaller else "BICUBIC"
        )
        pixels: NDArray[np.uint8] = np.rot90(scaled.to_ndarray(), self.quarter_turns)
        return np.ascontiguousarray(pixels)


def _even(side: float) -> int:
    """H.264 in 4:2:0, which all browsers play, has even sides."""
    return max(2, round(side / 2) * 2)


def _sane(pixel_aspect: Fraction | None) -> float:
    ratio = float(pixel_aspect or 1)
    return ratio if 1 / _WIDEST_PIXEL <= ratio <= _WIDEST_PIXEL else 1.0


def _colours(frame: av.VideoFrame) -> str | int:
    if frame.colorspace != _UNSPECIFIED:
        return frame.colorspace
    return _BT709 if frame.height >= _HD_HEIGHT else _BT601
