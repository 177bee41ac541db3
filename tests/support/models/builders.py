"""Short ways to make faces and analyses by hand."""

from __future__ import annotations

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from facemotion.faces import EMOTIONS, Analysis, Box, Face

coordinates = st.floats(-1e4, 1e4, allow_nan=False)
FAILED = Analysis(0, 0, (0, 0), error=("corrupt", "This JPEG picture is damaged."))


def face(
    number: int = 1, box: tuple[float, ...] = (10, 10, 60, 70), expression: str = "happy", p: float = 0.7, **more: Any
) -> Face:
    """A face that shows `expression` with probability `p`; the rest is shared by the others."""
    rest = (1 - p) / (len(EMOTIONS) - 1)
    return Face(number, Box(*box), 0.9, tuple(p if name == expression else rest for name in EMOTIONS), **more)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    """Any box with an area."""
    x0, x1 = sorted((draw(coordinates), draw(coordinates)))
    y0, y1 = sorted((draw(coordinates), draw(coordinates)))
    assume(x1 - x0 > 1e-3 and y1 - y0 > 1e-3)
    return Box(x0, y0, x1, y1)


def analysis(*faces: Face, size: tuple[int, int] = (200, 100)) -> Analysis:
    """The analysis of a picture of `size` (width, height)."""
    return Analysis(*size, size, faces, models={"detector": "d", "classifier": "c"}, timings_ms={"total": 1.234})
