"""Pictures that more than one tab needs: the example photos, and any picture at the size that the page shows."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def reduce(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """RGB uint8 [H, W, 3] scaled so that neither side exceeds `side`; as it is when it already fits."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def examples() -> list[str]:
    """The paths of the example photos, by name."""
    folder = Path(str(files("facemotion") / "assets" / "examples"))
    return [str(path) for path in sorted(folder.iterdir()) if path.suffix in {".jpg", ".png"}]
