"""The composed example pictures are what tests/support/media/compose_examples.py makes, and show what they are there to
show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facemotion import FaceDetector, images
from facemotion.pipeline import Pipeline
from tests.support.media.compose_examples import COMPOSED, ORIENTATION, TURN_RIGHT


@pytest.mark.parametrize("name", COMPOSED)
def test_a_composed_picture_is_what_its_script_makes(name: str, examples: Path) -> None:
    with Image.open(examples / name) as image:
        stored = np.asarray(image, dtype=np.int16)
    assert np.abs(stored - np.asarray(COMPOSED[name](), dtype=np.int16)).mean() < 3  # JPEG's own loss is about 2
    assert (examples / name).stat().st_size < 300_000


def test_the_rotated_picture_lies_on_its_side_and_is_loaded_upright(examples: Path) -> None:
    with Image.open(examples / "rotated.jpg") as image:
        assert image.size == (910, 728)
        assert image.getexif()[ORIENTATION] == TURN_RIGHT
    picture = images.load_picture(examples / "rotated.jpg")
    assert picture.pixels.shape == (910, 728, 3)
    with Image.open(examples / "fr_obama.jpg") as image:
        upright = np.asarray(image.resize((728, 910)), dtype=np.int16)
    assert np.abs(picture.pixels - upright).mean() < 4


@pytest.mark.parametrize(("name", "faces", "widths"), [("group.jpg", 3, (120, 251)), ("rotated.jpg", 1, (170, 220))])
def test_every_face_of_a_composed_picture_is_found(
    name: str, faces: int, widths: tuple[int, int], pipeline: Pipeline, examples: Path
) -> None:
    found = pipeline.analyze(examples / name).faces
    assert len(found) == faces
    assert all(widths[0] <= face.box.width <= widths[1] for face in found)


@pytest.mark.parametrize(
    ("detector", "detail", "least"),
    [("yunet", "auto", 15), ("yolo", "auto", 15), ("yolov8n-face", "thorough", 14)],
)
def test_small_faces_are_found_by_those_who_see_them(detector: str, detail: str, least: int, examples: Path) -> None:
    """Of 24 to 40 pixels in 1280: half of that in the main pass of `auto`, where YOLOv8n-face is sure of a few only."""
    found = FaceDetector.from_pretrained(detector).detect(images.load(examples / "small.jpg"), detail)[0]
    widths = found[:, 2] - found[:, 0]
    assert least <= len(found) <= 15 and (widths >= 20).all() and (widths <= 45).all()
