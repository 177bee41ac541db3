"""Resizing a picture for a pass: by blocks where they fit, to the same picture; small ones enlarged where wanted."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from facemotion.detectors import FaceDetector
from facemotion.detectors.tiling import AUTO_SIDE, TILE_OVERLAP, Window, resize, strip, whole


def gradient(width: int, height: int) -> np.ndarray:
    picture = np.full((height, width, 3), 90, np.uint8)
    picture[..., 0] = np.arange(width) * 255 / width
    picture[..., 1] = (np.arange(height) * 255 / height)[:, None]
    return picture


@pytest.mark.parametrize("size", [(4000, 3000), (4032, 3024), (1280, 720), (641, 479), (1001, 999), (640, 480)])
def test_blocks_first_give_the_same_picture(size: tuple[int, int]) -> None:
    picture, small = gradient(*size), (640, round(640 * size[1] / size[0]))
    expected = cv2.resize(picture, small, interpolation=cv2.INTER_AREA).astype(int)
    reduced = resize(picture, small)
    assert reduced.shape == expected.shape and reduced.dtype == np.uint8
    assert np.abs(reduced - expected).max() <= 2


def test_nothing_to_reduce_is_the_picture_itself() -> None:
    picture = gradient(64, 48)
    assert resize(picture, (64, 48)) is picture


def test_a_window_knows_whether_it_is_all() -> None:
    assert Window(0, 0, 64, 48, 0.5).covers(64, 48)
    assert not Window(0, 0, 63, 48, 0.5).covers(64, 48)
    assert Window(8, 4, 10, 7, 1).cut(gradient(64, 48)).shape == (3, 2, 3)


@pytest.mark.parametrize(
    ("picture", "enlarge", "expected"),
    [
        ((200, 100), 1.0, (200, 100)),
        ((200, 100), 2.5, (500, 250)),
        ((200, 100), 9.0, (640, 320)),
        ((50, 900), 9.0, (36, 640)),
    ],
)
def test_small_pictures_are_enlarged_up_to_a_limit(
    picture: tuple[int, int], enlarge: float, expected: tuple[int, int]
) -> None:
    assert whole(*picture, 640, enlarge).size == expected


@pytest.mark.parametrize("size", [(4000, 1000), (1000, 4000), (4096, 384), (4096, 1024), (4096, 82)])
def test_a_panorama_is_looked_at_in_parts_of_its_own(size: tuple[int, int]) -> None:
    """Which show faces of a size that a square picture of as many pixels would show in the main pass."""
    windows, (width, height) = strip(*size), size
    assert max(max(window.size) for window in windows) <= AUTO_SIDE
    assert windows[0].scale == pytest.approx(min(1, AUTO_SIDE / (width * height) ** 0.5))
    reach_of_fewer = (len(windows) - 1) * (AUTO_SIDE - TILE_OVERLAP) + TILE_OVERLAP
    assert reach_of_fewer < max(size) * windows[0].scale  # no part more than are needed
    assert (windows[0].x0, windows[0].y0, windows[-1].x1, windows[-1].y1) == (0, 0, *size)
    for first, second in pairwise(windows):
        shared = first.x1 - second.x0 if width > height else first.y1 - second.y0
        assert shared * first.scale >= TILE_OVERLAP - 1
    assert sum(np.prod(window.size) for window in windows) < 2 * AUTO_SIDE**2  # two usual passes, at most


@pytest.mark.parametrize("size", [(4000, 3000), (1920, 1080), (2500, 1000), (600, 100), (640, 64)])
def test_other_pictures_are_looked_at_as_before(size: tuple[int, int]) -> None:
    assert strip(*size) == []


def test_a_detector_that_enlarges_looks_at_the_picture_as_it_is_too() -> None:
    class Watching(FaceDetector):
        default_threshold, enlarge = 0.5, 3.0

        def _run(self, picture: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
            seen.append(picture)
            height, width = picture.shape[:2]
            return np.array([[0.2 * width, 0.2 * height, 0.6 * width, 0.7 * height]], np.float32), np.full(1, 0.9)

    seen: list[np.ndarray] = []
    small, detector = gradient(120, 80), Watching("watching")
    boxes, _ = detector.detect(small)
    assert [one.shape[:2] for one in seen] == [(240, 360), (80, 120)]
    np.testing.assert_array_equal(seen[1], small)  # and not what was enlarged, reduced again
    np.testing.assert_allclose(seen[0].mean(axis=(0, 1)), small.mean(axis=(0, 1)), atol=1)
    np.testing.assert_allclose(boxes, [[24, 16, 72, 56]], atol=1e-3)  # in pixels of the picture, once
    seen.clear()
    detector.detect(small, "fast")
    assert [one.shape[:2] for one in seen] == [(80, 120)]
