"""Images at the size, and as the files, in which the page shows them."""

from __future__ import annotations

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image


def fit_within(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """RGB uint8 [H, W, 3] scaled so that neither side exceeds `side` pixels; unchanged when it already fits."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def jpeg(image: NDArray[np.uint8], quality: int) -> bytes:
    """RGB uint8 [H, W, 3] as a JPEG without metadata."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return stream.getvalue()
