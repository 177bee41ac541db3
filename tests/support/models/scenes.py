"""Stand-ins for a pipeline, whose faces are known: what tests of streams look at."""

from __future__ import annotations

import threading

import numpy as np

from facemotion import EMOTIONS, Analysis, Box, Face

FRAME = np.full((480, 640, 3), 120, np.uint8)
SCORES = {name: tuple(0.7 if one == name else 0.05 for one in EMOTIONS) for name in EMOTIONS}


class Scene:
    """A pipeline that finds the given faces, or raises the given error, and remembers what it was asked for."""

    def __init__(self, expression: str = "happy", people: int = 1) -> None:
        self.expression, self.people = expression, people
        self.error: Exception | None = None
        self.details: list[str] = []

    def analyze(self, source, *, detail="auto", threshold=None):
        self.details.append(detail)
        if self.error is not None:
            raise self.error
        faces = tuple(
            Face(index + 1, Box(10 + 100 * index, 10, 90 + 100 * index, 110), 0.9, SCORES[self.expression])
            for index in range(self.people)
        )
        return Analysis(640, 480, (640, 480), faces)


class Turnstile(Scene):
    """A scene that counts how many frames are in it at once."""

    inside = most = 0

    def analyze(self, source, **more):
        self.inside += 1
        self.most = max(self.most, self.inside)
        threading.Event().wait(0.002)
        self.inside -= 1
        return super().analyze(source, **more)
