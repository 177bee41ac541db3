"""Pictures from elsewhere that show no face, for a detector to learn from: a folder of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.common.errors import DataError, naming_all
from training.common.files import pictures_in


def files(folder: Path) -> list[Path]:
    """The pictures, by name.

    Raises:
        DataError: there are none, or some cannot be read; all of these are named.
    """
    found, problems = pictures_in(folder), list[str]()
    if not found:
        raise DataError(f"{folder} holds no pictures: --negatives names a folder of pictures without faces")
    for file in found:
        try:
            with Image.open(file) as picture:
                picture.load()
        except (OSError, ValueError, Image.DecompressionBombError):
            problems.append(f"{file} cannot be read as a picture")
    if problems:
        raise naming_all(problems)
    return found


def is_cut_out(file: Path) -> bool:
    """Whether something would be seen behind it."""
    with Image.open(file) as picture:
        alpha = np.asarray(picture.convert("RGBA"))[..., 3]
    return bool(alpha.min() < 255)


def over(file: Path, behind: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture, and where it is transparent what is `behind` (RGB [H, W, 3]), stretched to its size: RGB."""
    with Image.open(file) as picture:
        front = picture.convert("RGBA")
    stretched = Image.fromarray(behind).resize(front.size).convert("RGBA")
    return np.asarray(Image.alpha_composite(stretched, front).convert("RGB"), np.uint8)
