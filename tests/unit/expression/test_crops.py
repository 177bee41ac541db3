"""The square crop, its padding, and the network's input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemotion.expression import crops
from facemotion.faces import Box


def picture(height: int, width: int) -> np.ndarray:
    """Every pixel tells its own place: red is the column, green the row."""
    rows, columns = np.mgrid[:height, :width]
    return np.dstack([columns, rows, np.zeros_like(rows)]).astype(np.uint8)


@pytest.mark.parametrize(
    ("box", "margin", "first", "last"),
    [
        (Box(10, 20, 30, 40), 0.0, (10, 20), (29, 39)),
        (Box(10, 20, 20, 40), 0.0, (5, 20), (24, 39)),  # a tall box gains width around its centre
        (Box(10, 20, 30, 40), 0.5, (0, 10), (39, 49)),
    ],
)
def test_takes_the_square_around_the_centre(box, margin, first, last):
    crop = crops.square(picture(100, 100), box, margin)
    assert crop.shape[0] == crop.shape[1]
    assert tuple(crop[0, 0, :2]) == first
    assert tuple(crop[-1, -1, :2]) == last


def test_repeats_the_border_outside_the_picture():
    crop = crops.square(picture(50, 50), Box(-10, -10, 10, 10), margin=0)
    assert crop.shape == (20, 20, 3)
    assert (crop[:10, :10] == 0).all()
    assert tuple(crop[-1, -1, :2]) == (9, 9)


@given(st.floats(-30, 80), st.floats(-30, 80), st.floats(0.2, 60), st.floats(0.2, 60), st.floats(0, 1))
def test_any_box_gives_a_square_of_pixels_of_the_picture(x0, y0, width, height, margin):
    crop = crops.square(picture(50, 40), Box(x0, y0, x0 + width, y0 + height), margin)
    assert crop.shape[0] == crop.shape[1] >= 1
    assert crop[..., 0].max() < 40
    assert crop[..., 1].max() < 50


def test_the_crop_is_a_copy():
    image = picture(50, 50)
    crops.square(image, Box(5, 5, 15, 15))[:] = 255
    assert (image == picture(50, 50)).all()


@pytest.mark.parametrize("side", [7, 48, 300])
def test_input_is_normalised_grey_in_three_channels(side):
    white, red = np.full((side, side, 3), 255, np.uint8), np.zeros((side, side, 3), np.uint8)
    red[..., 0] = 255
    batch = crops.to_input([white, red], size=48, mean=0.5, std=0.25)
    assert batch.shape == (2, 3, 48, 48)
    assert batch.dtype == np.float32
    assert batch[0] == pytest.approx(2.0)
    assert batch[1] == pytest.approx((76 / 255 - 0.5) / 0.25, abs=0.02)  # ITU-R BT.601: 0.299 of red


def test_shrinking_averages():
    checkers = (np.indices((480, 480)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert abs(crops.resize(checkers, 48).astype(int) - 127).max() <= 1
