"""Square face crops and the input of the expression networks; shared by serving and training."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from facemotion.faces import Box

# Share of the box's longer side, added on every side; measured by training/expression/data/crop_margin.py.
MARGIN = 0.0


def square(image: NDArray[np.uint8], box: Box, margin: float = MARGIN) -> NDArray[np.uint8]:
    """Square crop around the centre of `box`, widened by `margin`, at the image's resolution.

    Where the square leaves the image, the border pixels are repeated.

    Args:
        image: RGB uint8 [H, W, 3].
        box: in pixels of `image`; overlaps it.
        margin: share of the box's longer side that is added on every side.

    Returns:
        RGB uint8 [S, S, 3], S at least 1; a copy.
    """
    height, width = image.shape[:2]
    side = max(1, round(max(box.width, box.height) * (1 + 2 * margin)))
    center_x, center_y = box.center
    x0, y0 = round(center_x - side / 2), round(center_y - side / 2)
    top, bottom, rows = _overlap(y0, side, height)
    left, right, columns = _overlap(x0, side, width)
    cut = cv2.copyMakeBorder(image[rows, columns], top, bottom, left, right, cv2.BORDER_REPLICATE)
    return np.asarray(cut, np.uint8)


def _overlap(start: int, length: int, limit: int) -> tuple[int, int, slice]:
    """Split `length` pixels from `start` on at the borders of an image of `limit` pixels.

    Returns the number before the image, the number behind it, and the slice inside, at least the outermost pixel.
    """
    first, last = min(max(start, 0), limit - 1), max(min(start + length, limit), 1)
    before = min(first - start, length - 1) if start < 0 else 0
    last = max(last, first + 1)
    return before, length - before - (last - first), slice(first, last)


def to_input(
    crops: Sequence[NDArray[np.uint8]], size: int, mean: float, std: float, channels: int = 3
) -> NDArray[np.float32]:
    """Batch of normalised grey images, `size` x `size`: FER2013 has no colours to learn from.

    Args:
        crops: RGB uint8 [h, w, 3] each, of any size.
        size: side of the network's input in pixels.
        mean: of the pixels on the scale 0..1.
        std: likewise.
        channels: how often the grey image is repeated; the study's network expects colours.

    Returns:
        float32 [N, channels, size, size].
    """
    grey = np.empty((len(crops), 1, size, size), np.float32)
    for index, crop in enumerate(crops):
        grey[index, 0] = resize(to_grey(crop), size)
    return np.repeat((grey / 255 - mean) / std, channels, axis=1).astype(np.float32)


def to_grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luma [h, w] of RGB [h, w, 3] by ITU-R BT.601, as in FER2013's readers."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def resize(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize [h, w] or [h, w, 3] to `size` x `size`, averaged when it shrinks to avoid aliasing."""
    shrinks = min(image.shape[:2]) > size
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size, size), interpolation=method), np.uint8)
