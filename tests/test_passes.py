"""Reducing a picture for a pass: by blocks where they fit, to the same picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from facemotion.detectors.passes import Window, shrink


def gradient(width: int, height: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.dstack([columns * 255 / width, rows * 255 / height, np.full_like(rows, 90)]).astype(np.uint8)


@pytest.mark.parametrize("size", [(4000, 3000), (4032, 3024), (1280, 720), (641, 479), (1001, 999), (640, 480)])
def test_blocks_first_give_the_same_picture(size: tuple[int, int]) -> None:
    picture, small = gradient(*size), (640, round(640 * size[1] / size[0]))
    expected = cv2.resize(picture, small, interpolation=cv2.INTER_AREA).astype(int)
    reduced = shrink(picture, small)
    assert reduced.shape == expected.shape and reduced.dtype == np.uint8
    assert np.abs(reduced - expected).max() <= 2


def test_nothing_to_reduce_is_the_picture_itself() -> None:
    picture = gradient(64, 48)
    assert shrink(picture, (64, 48)) is picture


def test_a_window_knows_whether_it_is_all() -> None:
    assert Window(0, 0, 64, 48, 0.5).covers(64, 48)
    assert not Window(0, 0, 63, 48, 0.5).covers(64, 48)
    assert Window(8, 4, 10, 7, 1).cut(gradient(64, 48)).shape == (3, 2, 3)
