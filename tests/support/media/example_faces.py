"""Example photos with one face each, and its box."""

from __future__ import annotations

from typing import Any

import numpy as np

from facemotion.detectors.boxes import ious

PHOTOS = ("astronaut.png", "grace_hopper.jpg", "fr_obama.jpg")
FACES = {  # roughly, x0 y0 x1 y1, read off the photos by eye
    "astronaut.png": (180, 62, 270, 177),
    "grace_hopper.jpg": (180, 115, 352, 330),
    "fr_obama.jpg": (372, 87, 611, 418),
}


def iou(box: Any, other: Any) -> float:
    """Overlap of two boxes, each of four numbers."""
    return float(ious(np.array([box], float), np.array([other], float))[0, 0])
