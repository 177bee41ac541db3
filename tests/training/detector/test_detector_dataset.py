"""What a face detector is trained from: pictures blanked, cut and worsened, and the folder that is written of them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image

from facemotion import FaceDetector, images
from training.common.errors import DataError
from training.detector.data import augment, dataset, negatives, yolo_format
from training.detector.data.dataset import Plan, Source, prepare, read

NONE = np.zeros((0, 4), np.float32)


def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def noise(random: np.random.Generator) -> np.ndarray:
    return random.integers(0, 256, (120, 160, 3), np.uint8)


def test_blanking_blurs_the_box_and_nothing_else(noise: np.ndarray) -> None:
    result = augment.blank(noise, boxes((20.4, 30, 25, 34.2), (100, 100, 104, 105)), boxes((98, 98, 110, 110)))
    changed = (result != noise).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (30, 34, 20, 24)  # the second lies in a kept face
    assert result[30:35, 20:25].std() < noise[30:35, 20:25].std() / 3
    np.testing.assert_array_equal(augment.blank(noise, NONE, NONE), noise)
    assert augment.blank(noise, boxes((158, 118, 170, 130)), NONE).shape == noise.shape


def test_a_close_up_is_filled_by_its_face(random: np.random.Generator) -> None:
    picture = np.zeros((400, 500, 3), np.uint8)
    faces = boxes((200, 150, 300, 270), (10, 10, 20, 20))
    for _ in range(20):
        made = augment.close_up(picture, faces, random)
        assert made is not None
        part, inside, which = made
        assert which.tolist() == [True, False]
        height, width = part.shape[:2]
        assert len(inside) == 1 and (inside >= 0).all() and (inside[:, 2:] <= [width, height]).all()
        assert inside[0, 2:] - inside[0, :2] == pytest.approx([100, 120])
        assert 0.28 <= 100 * 120 / (width * height) <= 0.92
    assert augment.close_up(picture, boxes((0, 0, 79, 200)), random) is None
    assert augment.close_up(picture, NONE, random) is None


def test_a_part_without_faces_touches_none(random: np.random.Generator) -> None:
    picture = np.zeros((300, 400, 3), np.uint8)
    picture[:, 200:] = 255  # a face as large as half the picture
    for _ in range(10):
        part = augment.free_part(picture, boxes((200, 0, 400, 300)), random, attempts=200)
        assert part is not None and not part.any() and part.shape[0] == part.shape[1] >= augment.FREE_PX[0]
    assert augment.free_part(picture, boxes((0, 0, 400, 300)), random) is None
    assert augment.free_part(picture[:50], NONE, random) is None


def test_motion_blurs_along_its_line_only() -> None:
    picture = np.zeros((31, 31, 3), np.uint8)
    picture[15, 15] = 255
    along = augment.moved(picture, 5, 0.0)[..., 0]
    assert np.nonzero(along)[0].tolist() == [15] * 5 and np.nonzero(along)[1].tolist() == [13, 14, 15, 16, 17]
    assert np.nonzero(augment.moved(picture, 5, np.pi / 2)[..., 0])[1].tolist() == [15] * 5


def test_pictures_get_worse_now_and_then(random: np.random.Generator) -> None:
    picture = np.tile(np.array([200, 120, 60], np.uint8), (64, 64, 1))
    results = [augment.worsen(picture, random) for _ in range(300)]
    assert all(result.shape == picture.shape and result.dtype == np.uint8 for result in results)
    same = np.mean([np.array_equal(result, picture) for result in results])
    grey = np.mean([np.ptp(result.mean(axis=(0, 1))) < 2 for result in results])
    dark = np.mean([result.mean() < 100 for result in results])
    assert 0.6 < same < 0.9 and 0.05 < grey < 0.2 and 0.05 < dark < 0.2
    assert len({augment.pattern(random).tobytes() for _ in range(8)}) == 8


class Teacher:
    """Says of each photo that it holds one face, where told, and of every other that it holds none."""

    default_threshold = 0.4

    def __init__(self, name: str, box: tuple[float, ...]) -> None:
        self.description, self.box, self.asked = name, box, 0

    def detect(self, image: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        self.asked += 1
        found = boxes(self.box) if image.shape[:2] == (200, 240) else NONE
        return found, np.full(len(found), 0.9, np.float32)


@pytest.fixture
def folder(tmp_path: Path, random: np.random.Generator) -> Path:
    """Twelve photos of 240 x 200 pixels with a loose face, two without, and a cat."""
    root = tmp_path / "photos"
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    lines = ["name,set"]
    for number in range(15):
        of_set, name = ("mgde2", "other", "neg_cats")[(number > 11) + (number > 13)], f"p{number:02d}"
        size = (240, 200) if number < 12 else (220, 210)
        blocks = Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8))
        blocks.resize(size).save(root / "images" / f"{name}.jpg")
        # Around (40, 40, 140, 140), and one of 4 pixels.
        faces = "0 0.375 0.45 0.541667 0.65\n0 0.9 0.9 0.016667 0.02\n" if number < 12 else ""
        (root / "labels" / f"{name}.txt").write_text(faces)
        lines.append(f"{name},{of_set}")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def teachers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Teacher]:
    known = {"a": Teacher("a", (40, 40, 140, 140)), "b": Teacher("b", (40, 40, 140, 144))}
    monkeypatch.setattr(FaceDetector, "from_pretrained", staticmethod(known.__getitem__))
    return known


def labels_of(out: Path, split: str, name: str) -> list[list[float]]:
    text = (out / "labels" / split / f"{name}.txt").read_text()
    return [[float(word) for word in line.split()[1:]] for line in text.splitlines()]


def test_teachers_that_cannot_be_told_apart_are_refused(
    folder: Path, teachers: dict[str, Teacher], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="same last name"):
        prepare(read(folder), tmp_path / "data", ["one/a", "two/a"])


def test_boxes_of_a_photo_on_its_side_are_those_of_the_upright_one(folder: Path) -> None:
    file = folder / "images" / "p00.jpg"
    with Image.open(file) as photo:
        exif = photo.getexif()
        exif[0x0112] = 6  # to be turned by 90 degrees
        photo.save(file, exif=exif)
    (first, *_) = read(folder).photos
    assert (first.width, first.height) == (200, 240) == images.load(file).shape[1::-1]
    assert first.boxes[0].tolist() == pytest.approx([20.8334, 30, 129.1666, 186], abs=0.01)


def test_the_folder_that_is_trained_from(folder: Path, teachers: dict[str, Teacher], tmp_path: Path) -> None:
    out, source = tmp_path / "data", read(folder)
    held = [photo.name for photo, out_ in zip(source.photos, source.held_out, strict=True) if out_]
    assert "p14" in held and len(held) == 3  # the cat, and one of each other set
    counts = prepare(source, out, ["a", "b"], Plan(close_ups=0.5, free_parts=0.25, patterns=0.2))
    assert (counts["train_photos"], counts["val_photos"], counts["train_ignored"]) == (12, 3, 11)
    assert (counts["close_ups"], counts["free_parts"], counts["patterns"]) == (6, 1, 2)  # one photo has room for one
    assert counts["changes"]["mgde2"] == {"photos": 11, "labels": 22, "tightened": 11, "added": 0}
    trained = next(photo for photo in source.photos if photo.set == "mgde2" and photo.name not in held)
    assert labels_of(out, "train", trained.name) == [
        pytest.approx([90 / 240, 91 / 200, 100 / 240, 102 / 200], abs=1e-5)
    ]
    kept = next(name for name in held if name not in ("p12", "p13", "p14"))
    assert labels_of(out, "val", kept) == [pytest.approx([0.375, 0.45, 0.541667, 0.65], abs=1e-5)]
    assert (out / "images" / "val" / f"{kept}.jpg").is_symlink()
    assert not (out / "images" / "train" / f"{trained.name}.jpg").is_symlink()  # its small face is blanked
    assert not {file.stem for file in (out / "images" / "train").iterdir()} & set(held)
    assert yaml.safe_load((out / "data.yaml").read_text())["names"] == {0: "face"}
    assert json.loads((out / "changes.json").read_text()) == counts
    assert (out / "changes.jpg").stat().st_size > 1000
    pictures = {f.stem for f in (out / "images" / "train").iterdir()}
    assert pictures == {f.stem for f in (out / "labels" / "train").iterdir()} and len(pictures) == 12 + 6 + 1 + 2
    asked = teachers["a"].asked
    prepare(source, out, ["a", "b"], Plan(close_ups=0, free_parts=0, patterns=0))
    assert teachers["a"].asked == asked == 12  # what they found was kept
    assert len(list((out / "images" / "train").iterdir())) == 12
    teachers.clear()  # where all is known, they need not be there
    assert prepare(source, out, ["folder/a", "b"])["changes"]["mgde2"]["tightened"] == 11


def test_crowds_are_shown_more_often(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "CROWD", 1)  # of the two boxes in photos of mgde2, one is too small to count
    counts = prepare(read(folder), tmp_path / "data", (), Plan(close_ups=0, free_parts=0, patterns=0, crowd_repeats=3))
    assert counts["train_photos"] == 12 and counts["repeated"] == 2 * 11
    pictures, labels = (
        {f.stem: f.read_bytes() for f in (tmp_path / "data" / part / "train").iterdir()}
        for part in ("images", "labels")
    )
    assert set(pictures) == set(labels) and len(pictures) == 12 + 22
    again = next(name for name in pictures if name.endswith("__2"))
    first = again.removesuffix("__2")
    assert pictures[first] == pictures[again] and labels[first] == labels[again] != b""


def test_pictures_without_faces_stand_before_parts_of_photos(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cut").mkdir()
    cut_out = np.zeros((40, 60, 4), np.uint8)
    cut_out[:, :30] = (250, 0, 0, 255)  # the right half is transparent
    Image.fromarray(cut_out).save(tmp_path / "cut" / "cat.png")
    Image.fromarray(cut_out[:, :30, :3]).save(tmp_path / "cut" / "dog.png")
    plan = Plan(close_ups=0, free_parts=0, patterns=0, negatives=tmp_path / "cut")
    counts = prepare(read(folder), tmp_path / "data", (), plan)
    assert counts["negatives"] == 2 + 1  # nothing can be seen behind the dog
    for copy in range(2):
        picture = cv2.imread(str(tmp_path / "data" / "images" / "train" / f"negatives__0__{copy}.jpg"))
        assert picture.shape == (40, 60, 3) and picture[:, :25, 2].mean() > 235 and picture[:, :25, :2].mean() < 15
        assert picture[:, 35:].std() > 5  # something is behind
        assert (tmp_path / "data" / "labels" / "train" / f"negatives__0__{copy}.txt").read_bytes() == b""
    for name in ("eel.png", "._eel.png", "fox.jpg"):
        (tmp_path / "cut" / name).write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"^\S*/eel\.png cannot be read as a picture\n\S*/fox\.jpg cannot be read"):
        negatives.files(tmp_path / "cut")
    with pytest.raises(DataError, match="holds no pictures"):
        negatives.files(tmp_path / "data")


def test_without_teachers_labels_stay(folder: Path, tmp_path: Path) -> None:
    counts = prepare(read(folder), tmp_path / "data", (), Plan(close_ups=0, free_parts=0, patterns=0))
    assert counts["changes"]["mgde2"]["tightened"] == 0
    assert not (tmp_path / "data" / "changes.jpg").exists()


def test_a_jpeg_without_its_end_is_copied(tmp_path: Path, folder: Path) -> None:
    whole = folder / "images" / "p00.jpg"
    (tmp_path / "cut.jpg").write_bytes(whole.read_bytes()[:-2])
    dataset.link(tmp_path / "cut.jpg", tmp_path / "a.jpg")
    dataset.link(whole, tmp_path / "b.jpg")
    assert not (tmp_path / "a.jpg").is_symlink() and (tmp_path / "b.jpg").is_symlink()


def test_boxes_marked_invalid_are_blanked(folder: Path, tmp_path: Path) -> None:
    source = read(folder)
    photo = yolo_format.load(folder)[12]
    marked = Source([photo], np.zeros(1, bool), {photo.name: boxes((50, 50, 90, 90))})
    prepare(marked, tmp_path / "data", (), Plan(close_ups=0, free_parts=0, patterns=0))
    before, after = (cv2.imread(str(f)) for f in (photo.path, tmp_path / "data" / "images" / "train" / "p12.jpg"))
    difference = np.abs(before.astype(int) - after).max(axis=2)
    assert difference[55:85, 55:85].mean() > 5 * difference[120:, 120:].mean()
    assert len(source.photos) == 15


def test_every_photo_and_label_file_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "images" / "._p00.jpg").write_bytes(b"of macOS")
    assert len(yolo_format.load(folder)) == 15
    (folder / "images" / "p03.jpg").write_bytes(b"no picture")
    (folder / "labels" / "p05.txt").write_text("a face")
    with pytest.raises(DataError, match=r"p03\.jpg cannot be read as a picture.*\n\S*p05\.txt is no list of boxes"):
        yolo_format.load(folder)
