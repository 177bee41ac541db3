"""Result types: expressions, boxes, faces and analyses; frozen and validated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

EMOTIONS: tuple[str, ...] = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
"""The seven expressions in the alphabetical order of FER2013's folders: the order of every column of scores."""

QUALITY_REASONS: tuple[str, ...] = ("small", "blurred", "dark", "overexposed", "cut_off")
"""Why a face may be read badly; `Face.quality` draws from this list."""

_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the image that `images.load` returned.

    x runs to the right, y down; the coordinates are floats, x1 and y1 just outside.

    Raises:
        ValueError: a coordinate is not finite, or the box has no area.
    """

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in self):
            raise ValueError(f"a box must be four finite numbers, but got {tuple(self)}")
        if self.x1 <= self.x0 or self.y1 <= self.y0:
            raise ValueError(f"a box must have x0 < x1 and y0 < y1, but got {tuple(self)}")

    def __iter__(self) -> Iterator[float]:
        return iter((self.x0, self.y0, self.x1, self.y1))

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height

    @property
    def center(self) -> tuple[float, float]:
        """(x, y) in pixels."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2


@dataclass(frozen=True, slots=True)
class Face:
    """A detected face: box, expression and confidence.

    `probabilities` holds one calibrated probability per expression, in the order of `EMOTIONS`, summing to 1.
    `uncertain` says that the top class should not be relied on; `expression` is the top class all the same.

    Raises:
        ValueError: a number is outside its range, or the probabilities are not seven that sum to 1.
    """

    id: int
    box: Box
    detection_confidence: float
    probabilities: tuple[float, ...]
    uncertain: bool = False
    quality: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.id < 1:
            raise ValueError(f"ids count from 1, but got {self.id}")
        if not 0 <= self.detection_confidence <= 1:
            raise ValueError(f"detection_confidence must be in 0..1, but got {self.detection_confidence}")
        if len(self.probabilities) != len(EMOTIONS):
            raise ValueError(f"probabilities must be {len(EMOTIONS)} numbers, but got {len(self.probabilities)}")
        if not all(0 <= value <= 1 for value in self.probabilities):
            raise ValueError(f"probabilities must be in 0..1, but got {self.probabilities}")
        if abs(sum(self.probabilities) - 1) > _SUM_TOLERANCE:
            raise ValueError(f"probabilities must sum to 1, but sum to {sum(self.probabilities):.4f}")
        if unknown := set(self.quality) - set(QUALITY_REASONS):
            raise ValueError(f"quality must be from {QUALITY_REASONS}, but got {sorted(unknown)}")

    @property
    def expression(self) -> str:
        """The most probable of `EMOTIONS`."""
        return EMOTIONS[self.probabilities.index(self.confidence)]

    @property
    def confidence(self) -> float:
        """The probability of `expression`."""
        return max(self.probabilities)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return {
            "id": self.id,
            "box": [round(value, 2) for value in self.box],
            "detection_confidence": round(self.detection_confidence, 4),
            "expression": self.expression,
            "confidence": round(self.confidence, 4),
            "probabilities": {name: round(p, 4) for name, p in zip(EMOTIONS, self.probabilities, strict=True)},
            "uncertain": self.uncertain,
            "quality": list(self.quality),
        }


@dataclass(frozen=True, slots=True)
class Analysis:
    """All faces of one image; no faces is an ordinary result.

    `width` and `height` are those of the image the boxes refer to, `source_size` is the (width, height) of the file
    before it was turned upright and perhaps reduced. `error` is None, or (code, message) of an image that could not
    be read.
    """

    width: int
    height: int
    source_size: tuple[int, int]
    faces: tuple[Face, ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    error: tuple[str, str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON of an analysis, as the page, the API and the command line return it."""
        error = None if self.error is None else {"code": self.error[0], "message": self.error[1]}
        return {
            "image": {"width": self.width, "height": self.height, "source_size": list(self.source_size)},
            "faces": [face.to_dict() for face in self.faces],
            "models": dict(self.models),
            "timings_ms": {stage: round(value, 2) for stage, value in self.timings_ms.items()},
            "error": error,
        }
