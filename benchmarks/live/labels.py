"""How often a label changes in a minute, as each frame alone would have it and as it is shown."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

from facemotion import EMOTIONS, Analysis, Box, Face, FaceTracker

LOGITS = {"neutral": 2.0, "sad": 1.7}  # a face between two expressions
NOISE = 0.6  # of each logit, from frame to frame
CASES = ((10, 0.0), (10, 0.1), (30, 0.1), (30, 0.3))  # frames a second, and seconds for which the noise lasts
SEEDS = 5


def measure() -> list[dict[str, Any]]:
    """Changes a minute, the mean of `SEEDS` minutes."""
    return [
        {"fps": fps, "memory_s": memory_s} | dict(zip(("raw", "shown"), _changes(fps, memory_s), strict=True))
        for fps, memory_s in CASES
    ]


def _changes(fps: int, memory_s: float) -> tuple[float, float]:
    minutes = [_minute(fps, memory_s, seed) for seed in range(SEEDS)]
    raw, shown = (sum(minute[index] for minute in minutes) / SEEDS for index in range(2))
    return raw, shown


def _minute(fps: int, memory_s: float, seed: int) -> tuple[int, int]:
    tracker, random = FaceTracker(), np.random.default_rng(seed)
    kept = math.exp(-1 / fps / memory_s) if memory_s else 0.0
    base = np.array([LOGITS.get(name, 0.0) for name in EMOTIONS])
    noise, raw, shown = np.zeros(len(EMOTIONS)), [], []
    for index in range(60 * fps):
        noise = kept * noise + math.sqrt(1 - kept**2) * random.normal(0, NOISE, len(EMOTIONS))
        scores = np.exp(base + noise)
        face = Face(1, Box(150, 150, 250, 250), 0.9, tuple(map(float, scores / scores.sum())))
        raw.append(face.expression)
        frame = Analysis(640, 480, (640, 480), (face,))
        shown.append(tracker.update(frame, index / fps).faces[0].expression)
    return _count(raw), _count(shown)


def _count(labels: list[str]) -> int:
    return sum(before != after for before, after in pairwise(labels))
