"""Doubtful boxes of one detector, compared between its passes and looked at by another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facemotion import FaceDetector, images, settings
from facemotion.detectors import cascade
from facemotion.detectors.base import Image
from facemotion.detectors.cascade import Cascade
from facemotion.detectors.onnx_yolo import OnnxYolo
from facemotion.detectors.yunet import YuNet
from tests.support.media.example_faces import FACES

FACE = tuple(map(float, FACES["astronaut.png"]))
WRONG = (380.0, 120.0, 470.0, 235.0)  # a part of the background, as large as the face
SMALL = (20.0, 400.0, 44.0, 430.0)  # another, below the size that the close-up pass sees well
SIDE = 512  # of the photo; its main pass has this size, the close-up pass half of it


class Claims(FaceDetector):
    """Finds given boxes with given scores in a photo of 512 pixels, in all passes of at least `from_side` pixels."""

    default_threshold = 0.4

    def __init__(self, *claims: tuple[tuple[float, ...], float], from_side: int = 0) -> None:
        super().__init__("claims")
        self.boxes = np.array([box for box, _ in claims], np.float32).reshape(-1, 4)
        self.scores = np.array([score for _, score in claims], np.float32)
        self.from_side = from_side

    def _run(self, image: Image, threshold: float) -> tuple[Any, Any]:
        side = max(image.shape)
        kept = (self.scores >= threshold) & (side >= self.from_side)
        return self.boxes[kept] * np.float32(side / SIDE), self.scores[kept]


@pytest.fixture(scope="module")
def yunet() -> YuNet:
    return YuNet.embedded()


@pytest.fixture
def photo(photos: dict[str, Image]) -> Image:
    assert photos["astronaut.png"].shape == (SIDE, SIDE, 3)
    return photos["astronaut.png"]


def found(detector: FaceDetector, image: Image, threshold: float | None = None) -> dict[tuple[float, ...], float]:
    boxes, scores = detector.detect(image, threshold=threshold)
    assert (np.diff(scores) <= 0).all() and boxes.dtype == scores.dtype == np.float32
    return {tuple(box): score for box, score in zip(boxes.tolist(), scores.tolist(), strict=True)}


def test_a_doubtful_face_is_confirmed_and_a_piece_of_background_rejected(yunet: YuNet, photo: Image) -> None:
    """Alone, the face is below the threshold and the background above it. YuNet scores the face .9."""
    first = Claims((FACE, 0.3), (WRONG, 0.5))
    assert list(found(first, photo)) == [WRONG]
    assert found(Cascade(first, yunet), photo) == {FACE: pytest.approx(0.48, abs=0.02)}
    assert found(Cascade(first, yunet), photo, 0.05)[WRONG] == pytest.approx(0.35, abs=0.01)


def test_a_large_box_of_one_pass_alone_is_doubted(yunet: YuNet, photo: Image) -> None:
    """A small box is not: it is too small for the other pass."""
    shown = found(Cascade(Claims((WRONG, 0.5), (SMALL, 0.5), from_side=SIDE), yunet), photo, 0.05)
    assert shown[WRONG] == pytest.approx(0.175, abs=0.01) and shown[SMALL] == pytest.approx(0.35, abs=0.01)


def test_a_sure_box_and_a_hopeless_one_keep_their_scores(yunet: YuNet, photo: Image) -> None:
    detector = Cascade(Claims((WRONG, 0.75), (FACE, 0.1)), yunet)
    assert found(detector, photo) == {WRONG: pytest.approx(0.75)}
    assert found(detector, photo, 0.05)[FACE] == pytest.approx(0.1)


@pytest.mark.parametrize("part", [np.s_[:, 215:], np.s_[110:, :], np.s_[62:177, 180:270]])
def test_a_face_at_the_border_is_looked_at_with_what_is_there(
    yunet: YuNet, photo: Image, part: tuple[slice, slice]
) -> None:
    image = photo[part]
    top, left = part[0].start or 0, part[1].start or 0
    box = np.clip(np.array(FACE, np.float32) - [left, top] * 2, 0, [image.shape[1], image.shape[0]] * 2)
    assert Cascade(Claims(), yunet)._second_score(image, box.astype(np.float32)) > 0.5


def test_a_face_has_the_same_score_at_every_threshold(yunet: YuNet, photo: Image) -> None:
    class Fading(Claims):
        def _run(self, image: Image, threshold: float) -> tuple[Any, Any]:
            boxes, scores = super()._run(image, 0)
            scores = scores if max(image.shape) == SIDE else scores / 5  # below every threshold of the close-up pass
            return boxes[scores >= threshold], scores[scores >= threshold]

    detector = Cascade(Fading((FACE, 0.55), (WRONG, 0.59), (SMALL, 0.9)), yunet)
    every = found(detector, photo, 0.0)
    assert len(every) == 3
    for threshold in (0.01, 0.05, 0.15, 0.25, 0.4, 0.5, 0.7, 1.0):
        assert found(detector, photo, threshold) == {box: s for box, s in every.items() if s >= threshold}


def test_a_rejected_box_takes_no_place_of_a_face(yunet: YuNet, photo: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "MAX_FACES", 1)
    larger = (250.0, 250.0, 500.0, 500.0)
    assert list(found(Cascade(Claims((larger, 0.3), (FACE, 0.8)), yunet), photo)) == [FACE]


def test_boxes_that_stick_out_of_the_image_are_compared_by_the_parts_inside(photo: Image) -> None:
    """A network guesses how far a face that the border cuts goes on behind it."""

    class Second(FaceDetector):
        def _run(self, image: Image, threshold: float) -> tuple[Any, Any]:
            scale = cascade.CHECKED_SIDE / 360  # the face of 120 pixels with its surroundings
            return np.float32([[-100, 100, 60, 220]]) * np.float32(scale), np.float32([0.9])

    detector = Cascade(Claims(((-100.0, 100.0, 60.0, 220.0), 0.5)), Second("second"))
    assert found(detector, photo) == {(0.0, 100.0, 60.0, 220.0): pytest.approx(0.7 * 0.5 + 0.3 * 0.9)}


def test_of_a_crowd_the_largest_are_looked_at() -> None:
    looked: list[int] = []

    class Watched(Claims):
        def _run(self, image: Image, threshold: float) -> tuple[Any, Any]:
            looked.append(max(image.shape))
            return super()._run(image, threshold)

    sides = range(10, 10 + cascade.MAX_CHECKED + 5)
    claims = [((40.0 * (n % 12), 60.0 * (n // 12), 40.0 * (n % 12) + side, 60.0 * (n // 12) + side), 0.5)
              for n, side in enumerate(sides)]  # fmt: skip
    shown = found(Cascade(Claims(*claims), Watched()), np.zeros((SIDE, SIDE, 3), np.uint8), 0.05)
    assert len(looked) == cascade.MAX_CHECKED and max(looked) <= cascade.CHECKED_SIDE + 5
    assert sorted(box[2] - box[0] for box, score in shown.items() if score == 0.5) == [10, 11, 12, 13, 14]


@pytest.mark.parametrize("name", ["yolo", "yolov8n-face"])
def test_the_embedded_yolo_detectors_are_checked_by_yunet(name: str) -> None:
    detector = FaceDetector.from_pretrained(name)
    assert isinstance(detector, Cascade) and isinstance(detector.second, YuNet)
    assert detector.description.startswith(f"{name} (embedded, ") and detector.first.description.startswith(name)


def test_fast_and_the_bare_network_are_the_first_detector_alone(yunet: YuNet, examples: Path) -> None:
    first, image = OnnxYolo.embedded(), images.load(examples / "small.jpg")
    both = Cascade(first, yunet)
    for ours, theirs in (
        (both.detect(image, "fast", 0.2), first.detect(image, "fast", 0.2)),
        (both.detect_once(image, 640, 0.2), first.detect_once(image, 640, 0.2)),
    ):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])


def test_a_cascade_finds_small_faces_that_its_first_detector_doubts(examples: Path) -> None:
    """Of fifteen faces, YOLOv8n-face alone is sure of four in the main pass."""
    detector, image = FaceDetector.from_pretrained("yolov8n-face"), images.load(examples / "small.jpg")
    assert isinstance(detector, Cascade)
    assert len(detector.detect(image)[0]) >= len(detector.first.detect(image)[0]) + 4
