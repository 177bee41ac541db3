"""One pipeline, many threads: the answers of one thread, whatever runs beside it, from the very first use on."""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import cv2
import numpy as np
import pytest

from facemotion import Analysis, FaceDetector, LiveSession, Pipeline, images
from facemotion.detectors import ultralytics_compat
from facemotion.settings import DETAILS

pytestmark = pytest.mark.slow

THREADS = 8
PHOTOS = ("astronaut.png", "grace_hopper.jpg", "fr_obama.jpg", "group.jpg")
FIRST_USE = """
import sys, threading
together, answers = threading.Barrier(8), []

def work():
    together.wait(timeout=60)
    from facemotion import EMOTIONS, Pipeline
    faces = Pipeline.from_pretrained(*sys.argv[2:]).analyze(sys.argv[1], detail="fast").faces
    answers.append([(tuple(face.box), face.expression) for face in faces])

threads = [threading.Thread(target=work) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert len(answers) == 8, len(answers)
assert answers[0] and all(answer == answers[0] for answer in answers), answers
"""


@pytest.fixture(scope="module")
def pictures(examples: Path) -> list[images.Picture]:
    """Pictures of different sizes, small enough for a slow machine."""
    loaded = [images.load(examples / name) for name in PHOTOS]
    return [images.load_picture(np.ascontiguousarray(pixels[::2, ::2])) for pixels in loaded]


@pytest.fixture(scope="module")
def yolo(test_assets: Path, pipeline: Pipeline) -> Pipeline:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checkpoint is a pickle, which is said
        detector = FaceDetector.from_pretrained(str(test_assets / "reference" / "yolov8n-face.pt"))
    return Pipeline(detector, pipeline.classifier)


def all_at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """What the calls return, in order, all started by the same signal in `THREADS` threads."""
    together = Barrier(THREADS)

    def work(own: list[tuple[int, Callable[[], Any]]]) -> list[tuple[int, Any]]:
        together.wait(timeout=60)
        return [(index, call()) for index, call in own]

    numbered = list(enumerate(calls))
    with ThreadPoolExecutor(THREADS) as pool:
        parts = pool.map(work, [numbered[start::THREADS] for start in range(THREADS)])
        return [answer for _, answer in sorted((one for part in parts for one in part), key=lambda one: one[0])]


def assert_same(analysis: Analysis, expected: Analysis) -> None:
    assert [tuple(face.box) for face in analysis.faces] == [tuple(face.box) for face in expected.faces]
    assert [face.detection_confidence for face in analysis.faces] == [
        face.detection_confidence for face in expected.faces
    ]
    assert (analysis.width, analysis.height) == (expected.width, expected.height)
    for face, other in zip(analysis.faces, expected.faces, strict=True):
        assert np.abs(np.subtract(face.probabilities, other.probabilities)).max() <= 1e-6


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("kind", ["pipeline", "yolo"])
def test_eight_threads_get_the_answers_of_one(
    kind: str, pictures: list[images.Picture], request: pytest.FixtureRequest
) -> None:
    """Sizes, details and thresholds differ from call to call: all three are state of a detector's network."""
    pipeline: Pipeline = request.getfixturevalue(kind)
    wishes = [(picture, detail, threshold) for picture in pictures for detail in DETAILS for threshold in (None, 0.9)]
    expected = [pipeline.analyze(picture, detail=detail, threshold=share) for picture, detail, share in wishes]
    assert len({len(analysis.faces) for analysis in expected}) > 1

    def call(wish: tuple[images.Picture, str, float | None]) -> Callable[[], Analysis]:
        return lambda: pipeline.analyze(wish[0], detail=wish[1], threshold=wish[2])

    for answer, one in zip(all_at_once([call(wish) for wish in wishes]), expected, strict=True):
        assert_same(answer, one)


@pytest.mark.usefixtures("one_thread")
def test_batches_in_parallel_get_the_answers_of_one(pipeline: Pipeline, pictures: list[images.Picture]) -> None:
    orders = [[*pictures[start:], *pictures[:start]] for start in range(len(pictures))]
    sources = [[picture.pixels for picture in order] for order in orders]
    expected = [pipeline.analyze_batch(source) for source in sources]

    def call(source: list[Any]) -> Callable[[], list[Analysis]]:
        return lambda: pipeline.analyze_batch(source)

    for answer, one in zip(all_at_once([call(source) for source in sources] * 2), expected * 2, strict=True):
        for analysis, other in zip(answer, one, strict=True):
            assert_same(analysis, other)


@pytest.mark.usefixtures("one_thread")
def test_eight_live_sessions_on_one_pipeline_do_not_mix(pipeline: Pipeline, pictures: list[images.Picture]) -> None:
    """Each viewer sees the picture of another, moving; ids and smoothed numbers are those of a viewer alone."""

    def watch(picture: images.Picture) -> list[Analysis]:
        session = LiveSession(pipeline)
        shifted = [np.roll(picture.pixels, 2 * step, axis=1) for step in range(4)]
        return [session.step(frame, step * 0.1) for step, frame in enumerate(shifted)]

    def call(picture: images.Picture) -> Callable[[], list[Analysis]]:
        return lambda: watch(picture)

    alone = [watch(picture) for picture in pictures]
    for together, one in zip(all_at_once([call(picture) for picture in pictures] * 2), alone * 2, strict=True):
        for analysis, other in zip(together, one, strict=True):
            assert_same(analysis, other)
            assert [face.id for face in analysis.faces] == [face.id for face in other.faces]


@pytest.mark.usefixtures("one_thread")
def test_eight_threads_may_share_one_live_session(pipeline: Pipeline, pictures: list[images.Picture]) -> None:
    session, picture = LiveSession(pipeline), pictures[0]
    analyses = all_at_once([lambda: session.step(picture, 1.0)] * (2 * THREADS))
    assert {face.id for analysis in analyses for face in analysis.faces} == {1}
    assert len(session.moments()) == 2 * THREADS


@pytest.mark.parametrize("kind", ["yunet", "yolo"])
def test_first_use_by_eight_threads_at_once(kind: str, examples: Path, request: pytest.FixtureRequest) -> None:
    """Nothing is imported or loaded before: the public names, the models and ultralytics are all met at once."""
    options = []
    if kind == "yolo":
        options = [str(request.getfixturevalue("test_assets") / "reference" / "yolov8n-face.pt")]
    done = subprocess.run(
        [sys.executable, "-c", FIRST_USE, str(examples / "fr_obama.jpg"), *options],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    assert "Targets are not supported" not in done.stderr  # OpenCV stays quiet, also beside others who load


def test_callers_of_ultralytics_side_by_side_leave_the_thread_counts_alone() -> None:
    """It sets them for the whole process; two detectors must not take each other's counts for those to restore."""
    before = cv2.getNumThreads()

    def predict() -> None:
        with ultralytics_compat.keep_threads():
            cv2.setNumThreads(before + 1)
            time.sleep(0.02)

    all_at_once([predict] * THREADS)
    assert cv2.getNumThreads() == before


def test_loading_in_parallel_leaves_opencv_as_talkative_as_it_was() -> None:
    level = cv2.utils.logging.getLogLevel()
    all_at_once([lambda: FaceDetector.from_pretrained("yunet")] * (4 * THREADS))
    assert cv2.utils.logging.getLogLevel() == level
