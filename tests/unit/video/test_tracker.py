"""Ids that last and labels that do not flicker, on sequences whose people are known."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from facemotion import EMOTIONS, Analysis, Box, Face, FaceTracker
from facemotion.errors import BadOption
from facemotion.tracking.tracker import LABEL_MARGIN, MAX_MISS_S, RESET_GAP_S

Path = Callable[[float], tuple[float, float] | None]  # seconds -> centre, or None when not detected


def probabilities(**given: float) -> tuple[float, ...]:
    rest = (1 - sum(given.values())) / (len(EMOTIONS) - len(given))
    return tuple(given.get(name, rest) for name in EMOTIONS)


HAPPY = probabilities(happy=0.9)


def face(x: float, y: float, size: float = 100, scores: tuple[float, ...] = HAPPY, uncertain: bool = False) -> Face:
    return Face(1, Box(x - size / 2, y - size / 2, x + size / 2, y + size / 2), 0.9, scores, uncertain)


def frame(*faces: Face, width: int = 640, height: int = 480) -> Analysis:
    numbered = tuple(replace(one, id=index + 1) for index, one in enumerate(faces))
    return Analysis(width, height, (width, height), numbered)


def follow(paths: list[Path], fps: float, seconds: float = 3) -> list[list[int | None]]:
    """For each person the id in each frame, with a detector that jitters by 2 pixels and shuffles its answers."""
    tracker, random = FaceTracker(), np.random.default_rng(0)
    ids: list[list[int | None]] = [[] for _ in paths]
    for index in range(int(seconds * fps)):
        centres = [path(index / fps) for path in paths]
        seen = [person for person in random.permutation(len(paths)) if centres[person] is not None]
        faces = [face(*(np.array(centres[person]) + random.normal(0, 2, 2))) for person in seen]
        found = tracker.update(frame(*faces), index / fps).faces
        by_person = dict(zip(seen, found, strict=True))
        for person in range(len(paths)):
            ids[person].append(by_person[person].id if person in by_person else None)
    return ids


def switches(ids: list[int | None]) -> int:
    known = [one for one in ids if one is not None]
    return sum(before != after for before, after in pairwise(known))


def missed(path: Path, start: float, seconds: float) -> Path:
    return lambda t: None if start <= t < start + seconds else path(t)


SCENES: dict[str, list[Path]] = {
    "one still": [lambda t: (300, 200)],
    "one walks by": [lambda t: (60 + 180 * t, 200)],
    "one runs by": [lambda t: (-300 + 400 * t, 240)],
    "one nods": [lambda t: (300, 200 + 40 * math.sin(6 * t))],
    "two apart": [lambda t: (150, 200), lambda t: (450, 220)],
    "two side by side": [lambda t: (250, 200), lambda t: (360, 205)],
    "two cross, one behind": [lambda t: (100 + 150 * t, 200), lambda t: (550 - 150 * t, 260)],
    "three, the last still": [
        lambda t: (100 + 150 * t, 180),
        lambda t: (550 - 150 * t, 300),
        lambda t: (320, 420),
    ],
    "blink": [missed(lambda t: (300, 200), 1.0, 0.3)],
    "hidden while walking": [missed(lambda t: (60 + 150 * t, 200), 1.0, 0.5)],
    "one of two hidden": [missed(lambda t: (200, 200), 0.8, 0.8), lambda t: (400, 200)],
}


@pytest.mark.parametrize("fps", [5, 10, 30])
@pytest.mark.parametrize("name", SCENES)
def test_everybody_keeps_one_id(name, fps):
    ids = follow(SCENES[name], fps)
    assert [switches(one) for one in ids] == [0] * len(ids)
    assert len({one[0] for one in ids}) == len(ids)


def test_an_id_is_lost_after_a_long_miss_and_never_given_again():
    ids = follow([missed(lambda t: (300, 200), 0.5, MAX_MISS_S + 0.3)], fps=10)[0]
    assert [one for one in dict.fromkeys(ids) if one is not None] == [1, 2]


def test_a_new_face_elsewhere_gets_a_new_id():
    tracker = FaceTracker()
    tracker.update(frame(face(100, 100)), 0)
    assert [one.id for one in tracker.update(frame(face(500, 400)), 0.1).faces] == [2]
    assert [one.id for one in tracker.update(frame(face(102, 100), face(500, 400)), 0.2).faces] == [1, 2]


@pytest.mark.parametrize(
    ("time_s", "size"),
    [(-1.0, (640, 480)), (RESET_GAP_S + 0.1, (640, 480)), (0.1, (480, 640))],
    ids=["time goes back", "a long gap", "the camera is turned"],
)
def test_starts_afresh_with_new_ids(time_s, size):
    tracker = FaceTracker()
    tracker.update(frame(face(200, 200)), 0)
    later = tracker.update(frame(face(200, 200, scores=probabilities(sad=0.8)), width=size[0], height=size[1]), time_s)
    assert [(one.id, one.expression) for one in later.faces] == [(2, "sad")]
    assert later.faces[0].probabilities == pytest.approx(probabilities(sad=0.8))


@pytest.mark.parametrize("time_s", [math.nan, math.inf, -math.inf])
def test_refuses_a_time_that_is_none(time_s):
    with pytest.raises(BadOption, match="time_s"):
        FaceTracker().update(frame(), time_s)


def test_two_frames_of_one_moment():
    tracker = FaceTracker()
    first = tracker.update(frame(face(200, 200)), 1.0)
    assert tracker.update(frame(face(203, 200)), 1.0).faces[0].id == first.faces[0].id


def test_a_frame_that_could_not_be_read_is_a_miss():
    tracker = FaceTracker()
    tracker.update(frame(face(200, 200)), 0)
    broken = tracker.update(Analysis(0, 0, (0, 0), error=("corrupt", "The picture breaks off.")), 0.1)
    assert broken.faces == () and broken.error is not None
    assert tracker.update(frame(face(200, 200)), 0.2).faces[0].id == 1


def test_trackers_share_nothing():
    for _ in range(2):
        assert FaceTracker().update(frame(face(200, 200)), 0).faces[0].id == 1


def label_changes(labels: list[str]) -> int:
    return sum(before != after for before, after in pairwise(labels))


def test_labels_do_not_flicker():
    """A minute of a face between neutral and sad, as noisy as single frames are."""
    tracker, random = FaceTracker(), np.random.default_rng(1)
    raw, shown = [], []
    for index in range(600):
        logits = np.zeros(len(EMOTIONS))
        logits[[4, 5]] = [2.0, 1.8]
        scores = np.exp(logits + random.normal(0, 0.5, len(EMOTIONS)))
        one = face(200, 200, scores=tuple(scores / scores.sum()))
        raw.append(one.expression)
        shown.append(tracker.update(frame(one), index / 10).faces[0].expression)
    assert label_changes(raw) > 200  # a minute
    assert label_changes(shown) <= 4


@pytest.mark.parametrize(
    ("fps", "memory_s", "before", "after"),
    [(10, 0, 250, 20), (30, 0, 700, 5), (10, 0.1, 180, 30), (30, 0.1, 350, 30), (10, 0.3, 110, 30), (30, 0.3, 200, 30)],
)
def test_label_changes_a_minute(fps, memory_s, before, after):
    """The noise of a video lasts, as neighbouring frames are lit and blurred alike. A change in two seconds is left."""
    tracker, random = FaceTracker(), np.random.default_rng(1)
    kept = math.exp(-1 / fps / memory_s) if memory_s else 0.0
    noise, raw, shown = np.zeros(len(EMOTIONS)), [], []
    for index in range(60 * fps):
        noise = kept * noise + math.sqrt(1 - kept**2) * random.normal(0, 0.6, len(EMOTIONS))
        scores = np.exp(noise + np.array([0, 0, 0, 0, 2.0, 1.7, 0]))
        one = face(200, 200, scores=tuple(scores / scores.sum()))
        raw.append(one.expression)
        shown.append(tracker.update(frame(one), index / fps).faces[0].expression)
    assert label_changes(raw) >= before
    assert label_changes(shown) <= after


@pytest.mark.parametrize("fps", [5, 10, 30])
def test_a_new_expression_shows_within_a_second_at_any_rate(fps):
    tracker = FaceTracker()
    for index in range(2 * fps):
        tracker.update(frame(face(200, 200)), index / fps)
    surprised = face(200, 200, scores=probabilities(surprise=0.9))
    times = [2 + index / fps for index in range(fps)]
    shown = [tracker.update(frame(surprised), time_s).faces[0] for time_s in times]
    changed = next(time_s for time_s, one in zip(times, shown, strict=True) if one.expression == "surprise")
    assert 0.2 <= changed - 2 + 1 / fps <= 0.65
    assert shown[-1].confidence > 0.7


def test_a_challenger_within_the_margin_changes_places_with_the_label():
    tracker = FaceTracker()
    tracker.update(frame(face(200, 200, scores=probabilities(happy=0.6))), 0)
    close = probabilities(happy=0.4, surprise=0.4 + LABEL_MARGIN / 2)
    for step in range(1, 100):
        shown = tracker.update(frame(face(200, 200, scores=close)), step / 10).faces[0]
    assert shown.expression == "happy"
    assert shown.confidence == pytest.approx(0.4 + LABEL_MARGIN / 2, abs=0.01)
    assert sum(shown.probabilities) == pytest.approx(1)


def test_uncertainty_is_that_of_most_frames():
    tracker = FaceTracker()
    flags = [tracker.update(frame(face(200, 200, uncertain=index % 5 == 0)), index / 10) for index in range(50)]
    assert sum(one.faces[0].uncertain for one in flags[10:]) == 0


def test_boxes_are_steadier_than_the_detector_and_do_not_lag():
    tracker, random = FaceTracker(), np.random.default_rng(2)
    raw, smooth = [], []
    for index in range(90):
        true_x = 100 + 120 * index / 30
        x = true_x + random.normal(0, 2)
        raw.append(x - true_x)
        smooth.append(tracker.update(frame(face(x, 200)), index / 30).faces[0].box.center[0] - true_x)
    assert np.std(smooth[15:]) < np.std(raw[15:])
    assert abs(np.mean(smooth[15:])) < 1


@pytest.mark.parametrize(("x", "y"), [(5, 240), (638, 470), (320, 2)])
def test_boxes_stay_inside_the_picture(x, y):
    tracker = FaceTracker()
    for index in range(10):
        one = Box(max(0, x - 60 + index), max(0, y - 60), min(640, x + 60), min(480, y + 60))
        shown = tracker.update(frame(Face(1, one, 0.9, HAPPY)), index / 10).faces[0].box
        assert shown.x0 >= 0 and shown.y0 >= 0 and shown.x1 <= 640 and shown.y1 <= 480


def test_hundreds_of_faces_stay_bounded():
    tracker, random = FaceTracker(), np.random.default_rng(3)
    for index in range(5):
        spots = random.uniform(0, 10_000, (300, 2))
        found = tracker.update(frame(*(face(x, y, 20) for x, y in spots), width=10_100, height=10_100), index / 30)
        assert len({one.id for one in found.faces}) == 300
    assert len(tracker._tracks) <= 600
