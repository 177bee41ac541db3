"""The example photos that hold one face each, and where it is."""

from __future__ import annotations

from typing import Any

import numpy as np

PHOTOS = ("astronaut.png", "grace_hopper.jpg", "fr_obama.jpg")
FACES = {  # roughly, x0 y0 x1 y1, read off the photos by eye
    "astronaut.png": (180, 62, 270, 177),
    "grace_hopper.jpg": (180, 115, 352, 330),
    "fr_obama.jpg": (372, 87, 611, 418),
}


def iou(a: Any, b: Any) -> float:
    shared = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    return float(shared / (np.prod(np.subtract(a[2:], a[:2])) + np.prod(np.subtract(b[2:], b[:2])) - shared))
