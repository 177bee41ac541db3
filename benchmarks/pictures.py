"""The pictures that speed is measured on, composed of the example photos: so many faces of a chosen size."""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from tests.support.media.compose_examples import FACE_WIDTHS, photo

FRAME, PHOTO, LARGE = (640, 480), (1280, 720), (4000, 3000)
GRAIN = 6.0  # grey levels: what a phone's sensor leaves, so that a JPEG of it has a phone's size
HEAD = 2.2  # times the width of its face: how much of a print is kept around it
# file: the centre of its face, in shares of the picture
FACE_CENTRES = {"astronaut.png": (0.44, 0.24), "fr_obama.jpg": (0.50, 0.36), "grace_hopper.jpg": (0.54, 0.30)}


def crowd(size: tuple[int, int], faces: int, face_width: float, seed: int = 0) -> NDArray[np.uint8]:
    """A wall with rows of heads: RGB uint8 [H, W, 3].

    Args:
        size: width and height in pixels.
        faces: how many; every other one is mirrored.
        face_width: of each in pixels.
        seed: of the grain.
    """
    width, height = size
    columns = math.ceil(math.sqrt(faces * width / height))
    rows = math.ceil(faces / columns)
    picture = wall(size)
    names = sorted(FACE_WIDTHS)
    for index in range(faces):
        row, column = divmod(index, columns)
        face = head(names[(index + row) % len(names)], face_width)
        face = ImageOps.mirror(face) if index % 2 else face
        x, y = (column + 0.5) * width / columns, (row + 0.5) * height / rows
        picture.paste(face, (round(x - face.width / 2), round(y - face.height / 2)))
    grain = np.random.default_rng(seed).normal(0, GRAIN, (height, width, 1))
    return np.clip(np.asarray(picture, np.float32) + grain, 0, 255).astype(np.uint8)


def wall(size: tuple[int, int]) -> Image.Image:
    """Soft blots of grey and brown."""
    blots = np.random.default_rng(1).integers(90, 220, (6, 8, 3), np.uint8)
    return Image.fromarray(blots).resize(size, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(3))


def head(name: str, face_width: float) -> Image.Image:
    """One of the example photos, cut to its face and what is around it."""
    picture, width = photo(name), FACE_WIDTHS[name]
    x, y = (share * side for share, side in zip(FACE_CENTRES[name], picture.size, strict=True))
    reach = HEAD / 2 * width
    box = (max(0, x - reach), max(0, y - reach), min(picture.width, x + reach), min(picture.height, y + reach))
    scale = face_width / width
    size = max(1, round((box[2] - box[0]) * scale)), max(1, round((box[3] - box[1]) * scale))
    return picture.resize(size, Image.Resampling.LANCZOS, box=box)


def jpeg(picture: NDArray[np.uint8], quality: int = 88) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def frame(faces: int) -> NDArray[np.uint8]:
    """A camera's frame of 640 x 480."""
    return crowd(FRAME, faces, {1: 150, 5: 70}.get(faces, 40))


def small_photo(faces: int) -> NDArray[np.uint8]:
    """A photo of 1280 x 720."""
    return crowd(PHOTO, faces, {1: 220, 5: 130}.get(faces, 70))


def large_photo(face_width: float = 150, faces: int = 30) -> NDArray[np.uint8]:
    """A group photo of 12 megapixels, 4000 x 3000."""
    return crowd(LARGE, faces, face_width)
