"""Faces on their side or upside down: turned upright before they are read, and left alone in doubt."""

from __future__ import annotations

import numpy as np
import pytest

from facemotion import Box, FaceDetector, Pipeline, upright
from facemotion.expression import crops
from tests.support.media.example_faces import FACES

Picture = np.ndarray


def laid(photo: Picture, box: Box, turns: int) -> tuple[Picture, Box]:
    """The photo turned counterclockwise by `turns` times 90 degrees, and where its face is then."""
    for _ in range(turns):
        width = photo.shape[1]
        photo = np.ascontiguousarray(np.rot90(photo))
        box = Box(box.y0, width - box.x1, box.y1, width - box.x0)
    return photo, box


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("name", ["astronaut.png", "fr_obama.jpg", "grace_hopper.jpg"])
def test_a_face_is_set_upright(photos: dict[str, Picture], name: str, turns: int) -> None:
    box = Box(*map(float, FACES[name]))
    picture, place = laid(photos[name], box, turns)
    expected, found = crops.square(photos[name], box).astype(int), upright.square(picture, place)
    assert found.shape == expected.shape and found.flags.c_contiguous
    assert np.abs(found - expected).mean() < 20  # a pixel off by rounding makes 10, another direction 40 and more


def test_what_no_detector_is_sure_of_and_a_cameras_faces_are_left_alone(photos: dict[str, Picture]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    for picture, box in ((noise, Box(40, 50, 140, 150)), (np.zeros_like(noise), Box(-20, 10, 60, 90))):
        np.testing.assert_array_equal(upright.square(picture, box), crops.square(picture, box))
    picture, place = laid(photos["astronaut.png"], Box(*map(float, FACES["astronaut.png"])), 1)
    np.testing.assert_array_equal(upright.square(picture, place, "fast"), crops.square(picture, place))


@pytest.mark.parametrize("turns", [1, 3])
def test_a_face_on_its_side_is_read_as_it_is_upright_or_not_found(
    pipeline: Pipeline, photos: dict[str, Picture], turns: int
) -> None:
    """YuNet finds this one in both directions; the default detector may not."""
    picture = np.ascontiguousarray(np.rot90(photos["astronaut.png"], turns))
    found = Pipeline(FaceDetector.from_pretrained("yunet"), pipeline.classifier).analyze(picture).faces
    assert len(found) == 1
    for face in (*found, *pipeline.analyze(picture).faces):
        assert face.expression == "happy" and face.confidence > 0.7
