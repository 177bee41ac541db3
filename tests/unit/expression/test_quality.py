"""Each reason is found when it holds, and only then."""

import cv2
import numpy as np
import pytest

from facemotion import images
from facemotion.expression import crops, quality
from facemotion.faces import Box

FACE = Box(183, 120, 353, 333)  # in grace_hopper.jpg


@pytest.fixture(scope="module")
def portrait(examples):
    return images.load(examples / "grace_hopper.jpg")


def assess(image: np.ndarray, box: Box = FACE) -> tuple[str, ...]:
    return quality.assess(image, box, crops.square(image, box))


def test_a_good_portrait_has_no_fault(portrait):
    assert assess(portrait) == ()


@pytest.mark.parametrize(
    ("reason", "spoil"),
    [
        ("blurred", lambda p: cv2.GaussianBlur(p, (0, 0), 12)),
        ("dark", lambda p: (p * 0.15).astype(np.uint8)),
        ("overexposed", lambda p: np.clip(p.astype(int) * 3, 0, 255).astype(np.uint8)),
    ],
)
def test_names_what_was_spoiled(portrait, reason, spoil):
    assert assess(spoil(portrait)) == (reason,)


def test_names_a_small_face(portrait):
    scale = 20 / FACE.width
    small = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    assert "small" in assess(small, Box(*(value * scale for value in FACE)))


@pytest.mark.parametrize(
    "box", [Box(0, 50, 90, 150), Box(50, 0.5, 150, 90), Box(430, 50, 512, 150), Box(50, 510, 150, 600)]
)
def test_names_a_face_at_the_edge(portrait, box):
    assert "cut_off" in assess(portrait, box)


def test_a_flat_picture_is_blurred_and_does_not_divide_by_zero():
    assert "blurred" in assess(np.full((600, 512, 3), 128, np.uint8))
