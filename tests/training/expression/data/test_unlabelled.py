"""Faces cut out of photos to learn from without labels."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from facemotion import FaceDetector, images
from training.common.constants import ASSETS
from training.common.errors import DataError
from training.expression.data.sources import PHOTO_SIDE
from training.expression.data.unlabelled import cut_faces, load_unlabelled

EXAMPLES = ASSETS / "examples"


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector.from_pretrained("yunet")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos" / "inner"
    folder.mkdir(parents=True)
    for name in ("group.jpg", "astronaut.png"):
        shutil.copy(EXAMPLES / name, folder)
    (folder / "._group.jpg").write_bytes(b"of macOS")
    return tmp_path / "photos"


def test_every_large_face_becomes_a_picture(detector: FaceDetector, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "faces"
    assert cut_faces(detector, [photos], out, least=40, confidence=0.6) == 4
    assert sorted(file.name for file in out.iterdir()) == ["astronaut-0.jpg", *(f"group-{n}.jpg" for n in range(3))]
    faces = load_unlabelled(out)
    assert faces.pictures.shape == (4, PHOTO_SIDE, PHOTO_SIDE) and faces.names[0] == "astronaut-0"
    for name, face in zip(faces.names, faces.pictures, strict=True):
        again, _ = detector.detect(np.repeat(face[..., None], 3, axis=2), threshold=0.3)
        assert len(again) == 1, name
    with pytest.raises(DataError, match="faces is not empty: choose another --out"):
        cut_faces(detector, [photos], out, least=40, confidence=0.6)


def test_small_faces_are_left_out_and_small_cuts_keep_their_size(
    detector: FaceDetector, photos: Path, tmp_path: Path
) -> None:
    shutil.copy(EXAMPLES / "small.jpg", photos)
    count = cut_faces(detector, [photos], tmp_path / "faces", least=10, confidence=0.6)
    sides = [images.load(file).shape[0] for file in (tmp_path / "faces").iterdir()]
    assert len(sides) == count > 10 and min(sides) < 40 and max(sides) == PHOTO_SIDE
    assert cut_faces(detector, [photos], tmp_path / "none", least=10_000, confidence=0.6) == 0


def test_photos_that_cannot_be_read_are_named_and_the_others_cut(
    detector: FaceDetector, photos: Path, tmp_path: Path
) -> None:
    (photos / "broken.jpg").write_bytes(b"\xff\xd8 no photo")
    with pytest.raises(DataError, match=r"broken\.jpg: .*\nthe other photos have 4 faces, which are in"):
        cut_faces(detector, [photos], tmp_path / "faces", least=40, confidence=0.6)
    assert len(list((tmp_path / "faces").iterdir())) == 4


def test_folders_that_will_not_do(detector: FaceDetector, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "faces"
    with pytest.raises(DataError, match="missing does not exist: name folders of photos"):
        cut_faces(detector, [photos, tmp_path / "missing"], out, least=40, confidence=0.6)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no photos"):
        cut_faces(detector, [tmp_path / "empty"], out, least=40, confidence=0.6)
    shutil.copy(EXAMPLES / "astronaut.png", photos)
    with pytest.raises(DataError, match="have the same name: rename one of them"):
        cut_faces(detector, [photos], out, least=40, confidence=0.6)
    with pytest.raises(DataError, match="empty, which holds no pictures"):
        load_unlabelled(tmp_path / "empty")
    (tmp_path / "empty" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"broken\.png cannot be read as a picture"):
        load_unlabelled(tmp_path / "empty")
