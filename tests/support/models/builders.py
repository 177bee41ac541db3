"""Short ways to make faces and analyses by hand."""

from __future__ import annotations

from typing import Any

from facemotion.faces import EMOTIONS, Analysis, Box, Face

FAILED = Analysis(0, 0, (0, 0), error=("corrupt", "This JPEG picture is damaged."))


def face(
    number: int = 1, box: tuple[float, ...] = (10, 10, 60, 70), expression: str = "happy", p: float = 0.7, **more: Any
) -> Face:
    """A face that shows `expression` with probability `p`; the rest is shared by the others."""
    rest = (1 - p) / (len(EMOTIONS) - 1)
    return Face(number, Box(*box), 0.9, tuple(p if name == expression else rest for name in EMOTIONS), **more)


def analysis(*faces: Face, size: tuple[int, int] = (200, 100)) -> Analysis:
    """The analysis of a picture of `size` (width, height)."""
    return Analysis(*size, size, faces, models={"detector": "d", "classifier": "c"}, timings_ms={"total": 1.234})
