"""Image quality of a face: reasons why its expression may be unreliable."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facemotion.expression import crops
from facemotion.faces import Box

SMALL_SIDE = 32  # pixels; below half of the default network's 64 the face is mostly interpolation
DARK_MEAN = 45  # mean grey level of 0..255
BRIGHT_LEVEL = 250  # grey level from which a pixel is saturated
OVEREXPOSED_SHARE = 0.25  # of the crop's pixels
BLUR_SIDE = 96  # pixels; sharpness is measured at one size, independent of the image's
BLURRED_CONTRAST = 0.012  # standard deviation of the Laplacian over that of the grey levels, squared
EDGE = 1.0  # pixels; a box this close to the border is taken as cut off


def assess(image: NDArray[np.uint8], box: Box, crop: NDArray[np.uint8]) -> tuple[str, ...]:
    """Reasons from `faces.QUALITY_REASONS` that apply, in that order.

    Args:
        image: RGB uint8 [H, W, 3], the whole image.
        box: the face, in pixels of `image`.
        crop: RGB uint8 [S, S, 3], the face's square.
    """
    grey, (height, width) = crops.to_grey(crop), image.shape[:2]
    found = {
        "small": min(box.width, box.height) < SMALL_SIDE,
        "blurred": sharpness(grey) < BLURRED_CONTRAST,
        "dark": float(grey.mean()) < DARK_MEAN,
        "overexposed": float((grey >= BRIGHT_LEVEL).mean()) > OVEREXPOSED_SHARE,
        "cut_off": min(box.x0, box.y0, width - box.x1, height - box.y1) <= EDGE,
    }
    return tuple(reason for reason, holds in found.items() if holds)


def sharpness(grey: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian over the variance of the grey levels, at `BLUR_SIDE`; 0 for a flat image.

    After Pech-Pacheco et al. 2000, made independent of contrast.
    """
    scaled = crops.resize(grey, BLUR_SIDE).astype(np.float32)
    variance = float(scaled.var())
    return float(cv2.Laplacian(scaled, cv2.CV_32F).var()) / variance if variance > 1 else 0.0
