"""Image corruptions, one function each, for augmentation and the robustness table.

Pictures are grey uint8 [S, S]; each function returns a new picture of the same form. `STRENGTHS` names three strengths
of each, mild ones being what ordinary photos and a good detector do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from facemotion.expression import crops
from facemotion.faces import Box

Grey = NDArray[np.uint8]
Generator = np.random.Generator

LEVELS = np.arange(256.0)


def shift_box(picture: Grey, right: float, down: float, scale: float) -> Grey:
    """The crop that a box gives which lies off by shares of its side and is `scale` times as large. What lies outside
    the picture is padded as in serving: the crop code is the product's own."""
    side = len(picture)
    half, x, y = side * scale / 2, side * (0.5 + right), side * (0.5 + down)
    return crops.resize(crops.square(picture, Box(x - half, y - half, x + half, y + half), margin=0), side)


def rotate(picture: Grey, degrees: float) -> Grey:
    """Turned about its centre, counter-clockwise; the border is repeated."""
    side = len(picture)
    center = (side - 1) / 2
    matrix = cv2.getRotationMatrix2D((center, center), degrees, 1)
    return np.asarray(cv2.warpAffine(picture, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def low_resolution(picture: Grey, side: float) -> Grey:
    """As if the face had only `side` pixels in the photo."""
    return crops.resize(crops.resize(picture, max(2, round(side))), len(picture))


def blur(picture: Grey, sigma: float) -> Grey:
    """Out of focus: a Gaussian of `sigma` pixels."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.uint8)


def noise(sigma: float, picture: Grey, random: Generator) -> Grey:
    """A sensor's noise in poor light, normal with `sigma` grey levels."""
    return _clipped(picture + random.normal(0, sigma, picture.shape))


def jpeg(picture: Grey, quality: float) -> Grey:
    """Saved as a JPEG of this quality, 1 to 100."""
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, round(quality)])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


def gamma(picture: Grey, exponent: float) -> Grey:
    """Darker midtones for exponents above 1, lighter ones below."""
    return np.asarray(_clipped(255 * (LEVELS / 255) ** exponent)[picture])


def contrast(picture: Grey, factor: float, offset: float) -> Grey:
    """`factor` times the distance from the mean, plus `offset` grey levels."""
    mean = picture.mean()
    return np.asarray(_clipped((LEVELS - mean) * factor + mean + offset)[picture])


def cover(picture: Grey, top: float, left: float, height: float, width: float) -> Grey:
    """A rectangle, in shares of the side, covered in the picture's mean: a hand, a mask, a microphone."""
    side = len(picture)
    y0, x0 = round(top * side), round(left * side)
    covered: Grey = picture.copy()
    covered[y0 : y0 + round(height * side), x0 : x0 + round(width * side)] = round(picture.mean())
    return covered


def _clipped(values: NDArray[np.floating]) -> Grey:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def _off(share: float, picture: Grey, random: Generator) -> Grey:
    """A box that is off by `share` of its side in a random direction, and larger or smaller by it."""
    right, down, larger = share * random.choice([-1, 1], 3)
    return shift_box(picture, right / 2, down / 2, 1 + larger)


def _turned(degrees: float, picture: Grey, random: Generator) -> Grey:
    return rotate(picture, degrees * random.choice([-1, 1]))


def _covered(share: float, picture: Grey, random: Generator) -> Grey:
    top, left = random.uniform(0, 1 - share, 2)
    return cover(picture, top, left, share, share)


Distortion = Callable[[Grey, Generator], Grey]


def _each(make: Callable[[Grey, float], Grey], *strengths: float) -> tuple[Distortion, ...]:
    """A distortion without chance, at each strength."""
    return tuple((lambda picture, _, s=strength: make(picture, s)) for strength in strengths)


STRENGTHS: dict[str, tuple[Distortion, ...]] = {
    "box off by 5, 10, 15 %": tuple(partial(_off, share) for share in (0.05, 0.10, 0.15)),
    "turned by 5, 10, 20 degrees": tuple(partial(_turned, degrees) for degrees in (5, 10, 20)),
    "face of 32, 24, 16 pixels": _each(low_resolution, 32, 24, 16),
    "blur of 0.5, 1, 1.5 pixels": _each(blur, 0.5, 1.0, 1.5),
    "noise of 5, 10, 20 levels": tuple(partial(noise, sigma) for sigma in (5, 10, 20)),
    "JPEG of quality 70, 40, 20": _each(jpeg, 70, 40, 20),
    "dark: gamma 1.3, 1.8, 2.5": _each(gamma, 1.3, 1.8, 2.5),
    "light: gamma 0.8, 0.6, 0.4": _each(gamma, 0.8, 0.6, 0.4),
    "covered 20, 30, 40 %": tuple(partial(_covered, share) for share in (0.2, 0.3, 0.4)),
}
"""Mild, medium, strong."""
