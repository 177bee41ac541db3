"""Real faces on synthetic videos whose people are known: the ids that they get, and how often their labels change."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from facemotion import Analysis, Face, FaceDetector, LiveSession
from tests.support.media.synthetic_videos import Actor, Path2D, Scene
from tests.support.models.builders import face

FPS = 12


def hidden(way: Path2D, start: float, frames: int) -> Path2D:
    """The same way, but out of sight for so many frames."""
    return lambda t: None if start <= t < start + (frames - 0.5) / FPS else way(t)


def woman(way: Path2D) -> Actor:
    return Actor("astronaut.png", way)


def man(way: Path2D) -> Actor:
    return Actor("fr_obama.jpg", way)


SCENES: dict[str, Scene] = {
    "one moves": Scene([woman(lambda t: (150 + 120 * t, 180, 220))]),
    "one nods and sways": Scene([woman(lambda t: (320 + 60 * math.sin(3 * t), 190 + 25 * math.sin(5 * t), 220))]),
    "two side by side": Scene([woman(lambda t: (200, 180, 200)), man(lambda t: (430, 180, 200))]),
    "two cross, one behind": Scene(
        [woman(lambda t: (120 + 160 * t, 130, 160)), man(lambda t: (520 - 160 * t, 220, 200))]
    ),
    "two cross, one hidden by the other": Scene(
        [woman(lambda t: (120 + 160 * t, 170, 180)), man(lambda t: (520 - 160 * t, 180, 200))]
    ),
    "hidden for 5 frames": Scene([woman(hidden(lambda t: (150 + 120 * t, 180, 220), 1.0, 5))]),
    "hidden for 10 frames": Scene([woman(hidden(lambda t: (300, 180, 220), 1.0, 10))]),
    "one of two hidden for 10 frames": Scene(
        [woman(lambda t: (180, 180, 200)), man(hidden(lambda t: (450, 180, 200), 1.0, 10))]
    ),
    "one comes, one goes": Scene(
        [woman(lambda t: (-80 + 150 * t, 180, 200)), man(lambda t: (450 + 110 * t, 180, 200))]
    ),
    "one comes closer": Scene([woman(lambda t: (320, 180 + 20 * t, 110 + 70 * t))]),
    "one walks away": Scene([woman(lambda t: (320, 180, 320 - 80 * t))]),
    "a shaking camera": Scene([woman(lambda t: (200, 180, 200)), man(lambda t: (430, 180, 200))], shake=8),
}


class Finder:
    """The real detector; every face is happy, as only the ids are looked at."""

    def __init__(self) -> None:
        self._detector = FaceDetector.from_pretrained("live")

    def analyze(self, source, *, detail="auto", threshold=None) -> Analysis:
        boxes, _ = self._detector.detect(source, detail=detail)
        height, width = source.shape[:2]
        faces = tuple(face(index + 1, tuple(map(float, box))) for index, box in enumerate(boxes))
        return Analysis(width, height, (width, height), faces)


@pytest.fixture(scope="module")
def finder() -> Finder:
    return Finder()


def play(scene: Scene, finder: Finder, seconds: float = 2.6) -> list[list[Face | None]]:
    """For each actor the face found on it in each frame."""
    session = LiveSession(finder)
    seen: list[list[Face | None]] = [[] for _ in scene.actors]
    for index in range(round(seconds * FPS)):
        time_s = index / FPS
        found = session.step(scene.frame(time_s), time_s)
        places = [actor.way(time_s) for actor in scene.actors]
        for number, faces in enumerate(seen):
            faces.append(on(places, number, found))
    return seen


def on(places: list[tuple[float, float, float] | None], number: int, found: Analysis) -> Face | None:
    """The face found on an actor, None where it is not there, behind another, or not detected."""
    mine, in_front = places[number], [one for one in places[number + 1 :] if one is not None]
    if mine is None or any(math.dist(mine[:2], one[:2]) < 0.5 * one[2] for one in in_front):
        return None
    spot = mine[0], mine[1] - 0.07 * mine[2]  # the middle of the face
    best = min(found.faces, key=lambda one: math.dist(one.box.center, spot), default=None)
    return best if best is not None and math.dist(best.box.center, spot) < 0.3 * mine[2] else None


def switches(faces: list[Face | None]) -> int:
    ids = [one.id for one in faces if one is not None]
    return sum(before != after for before, after in pairwise(ids))


@pytest.mark.parametrize("name", SCENES)
def test_everybody_keeps_one_id(name: str, finder: Finder) -> None:
    seen = play(SCENES[name], finder)
    assert [switches(one) for one in seen] == [0] * len(seen)
    assert all(sum(found is not None for found in one) > 8 for one in seen), "hardly seen: this shows nothing"
    firsts = [next(found.id for found in one if found is not None) for one in seen]
    assert len(set(firsts)) == len(firsts)
