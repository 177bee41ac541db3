"""Our own detector as it is served: the input they get, the files, the Hub."""

from __future__ import annotations

import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from facemotion import FaceDetector, images, settings
from facemotion.detectors import onnx_yolo as served
from facemotion.detectors.boxes import ious
from facemotion.errors import ChecksumMismatch, RevisionNotFound, WeightsMismatch
from tests.support.hub.downloads import Hub
from tests.support.models import tiny_detector

REPO = "you/face-detector"
WHITE = np.full((130, 140, 3), 255, np.uint8)
EXPECTED = [[10, 20, 50, 70], [60, 8, 90, 44.5]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_detector.write(tmp_path / "tiny")


def test_the_boxes_of_the_network(folder: Path) -> None:
    detector = FaceDetector.from_pretrained(str(folder))
    boxes, scores = detector.detect(WHITE, "fast")
    assert boxes.tolist() == EXPECTED and scores == pytest.approx([0.9, 0.7])
    assert boxes.dtype == scores.dtype == np.float32
    assert detector.default_threshold == 0.5
    assert len(detector.detect(WHITE, "fast", 0.2)[0]) == 3
    assert detector.detect(WHITE, "fast", 0.8)[0].tolist() == EXPECTED[:1]
    assert detector.detect(np.zeros_like(WHITE))[0].shape == (0, 4)
    assert detector.description.startswith("tiny (local, ") and detector.notice is None


def test_of_the_boxes_on_a_face_the_best_stays(tmp_path: Path) -> None:
    detector = FaceDetector.from_pretrained(str(tiny_detector.write_overlapping(tmp_path / "eight", enlarge=1.5)))
    assert detector.enlarge == 1.5
    boxes, scores = detector._run(WHITE, 0.5)  # `detect` would suppress by itself
    assert boxes.tolist() == EXPECTED and scores == pytest.approx([0.9, 0.7])
    assert boxes.dtype == scores.dtype == np.float32
    assert len(detector._run(WHITE, 0.1)[0]) == 3 and detector._run(WHITE, 0.95)[0].shape == (0, 4)
    assert detector.detect(WHITE, "fast")[0].tolist() == EXPECTED


def test_a_box_in_the_padding_is_none(folder: Path) -> None:
    detector = FaceDetector.from_pretrained(str(folder))
    boxes, _ = detector.detect(WHITE[:60, :60], "fast")
    assert boxes.tolist() == [[10, 20, 50, 60]]  # clipped; the second lies outside


@pytest.mark.parametrize(
    ("size", "padded"),
    [((1, 1), (128, 128)), ((128, 129), (128, 160)), ((480, 640), (480, 640)), ((201, 641), (224, 672))],
)
def test_a_picture_keeps_its_size_and_gets_grey_around_it(size: tuple[int, int], padded: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    pixels = served.to_input(picture)
    assert pixels.shape == (1, 3, *padded) and pixels.dtype == np.float32
    np.testing.assert_array_equal(pixels[0, 0, : size[0], : size[1]], picture[..., 0] / np.float32(255))  # red first
    around = np.ones(padded, bool)
    around[: size[0], : size[1]] = False
    assert (pixels[0][:, around] == np.float32(114) / np.float32(255)).all()


def test_eight_threads_get_the_answers_of_one(folder: Path) -> None:
    detector = FaceDetector.from_pretrained(str(folder))
    pictures = [np.full((130 + 10 * n, 140, 3), 255 - 10 * n, np.uint8) for n in range(8)] * 4
    expected = [detector.detect(picture, threshold=0.1)[1].tolist() for picture in pictures]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda picture: detector.detect(picture, threshold=0.1)[1].tolist(), pictures))
    assert found == expected and len({tuple(scores) for scores in expected}) == 8


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"threshold": 1.5}, WeightsMismatch, "threshold between 0 and 1"),
        ({"threshold": None}, WeightsMismatch, "threshold between 0 and 1"),
        ({"sha256": "0" * 64}, ChecksumMismatch, "not the one"),
        ({"sha256": None}, WeightsMismatch, "sha256"),
        ({"columns": 5}, WeightsMismatch, r"must return \[1, N, 6\]"),
        ({"suppress": 0.5}, WeightsMismatch, r"must return \[1, 5, N\]"),
        ({"suppress": 2.0}, WeightsMismatch, "suppress in config.json must be a number from 0"),
        ({"enlarge": "twice"}, WeightsMismatch, "enlarge in config.json must be a number from 1"),
    ],
)
def test_files_that_do_not_fit(tmp_path: Path, changes: dict, error: type[Exception], sentence: str) -> None:
    folder = tiny_detector.write(tmp_path / "tiny", **changes)
    with pytest.raises(error, match=sentence):
        FaceDetector.from_pretrained(str(folder))


def test_a_folder_without_its_network(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"not a network")
    with pytest.raises(ChecksumMismatch):
        FaceDetector.from_pretrained(str(folder))
    (folder / "model.onnx").unlink()
    with pytest.raises(WeightsMismatch, match=r"holds no model\.onnx"):
        FaceDetector.from_pretrained(str(folder))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "other"}', "[" * 100_000])
def test_a_config_that_is_not_ours(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert not served.has_our_format(tmp_path / "config.json")


def test_published_it_is_found_by_its_repository_without_unpickling(hub: Hub, folder: Path) -> None:
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    revision = hub.publish(REPO, files | {"model.pt": b"a pickle, not to be touched"})
    for name in (REPO, f"{REPO}@{revision}", f"{REPO}@{revision}#{served.weights.sha256(folder / 'model.onnx')}"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            detector = FaceDetector.from_pretrained(name)
        assert detector.description.startswith(f"{REPO}@{revision[:8]} (Hub, ")
        assert detector.detect(WHITE, "fast")[0].tolist() == EXPECTED
    assert not [path for _, path in hub.requests if path.endswith(".pt")]
    hub.requests.clear()
    FaceDetector.from_pretrained(f"{REPO}@{revision}")
    assert hub.requests == []  # pinned and in the cache
    with pytest.raises(ChecksumMismatch):
        FaceDetector.from_pretrained(f"{REPO}@{revision}#{'0' * 64}")


@pytest.mark.parametrize("files", [{}, {"config.json": b'{"model_type": "yolo"}'}], ids=["no config", "another's"])
def test_any_other_repository_is_asked_for_its_checkpoint(hub: Hub, files: dict[str, bytes]) -> None:
    hub.publish("them/faces", files | {"README.md": b"# Faces"})
    with pytest.raises(RevisionNotFound, match=r"model\.pt"):
        FaceDetector.from_pretrained("them/faces")


def test_it_needs_neither_ultralytics_nor_torch(folder: Path, root: Path) -> None:
    code = (
        "import sys, numpy; from facemotion import FaceDetector\n"
        f"FaceDetector.from_pretrained({str(folder)!r}).detect(numpy.zeros((64, 64, 3), numpy.uint8))\n"
        "print(*({'torch', 'ultralytics'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


@pytest.mark.parametrize("detail", settings.DETAILS)
@pytest.mark.slow
@pytest.mark.parametrize("name", ["yolov8n-face", "yolo"])
def test_two_are_embedded(hub: Hub, examples: Path, name: str, detail: str) -> None:
    detector = FaceDetector.from_pretrained(name)
    assert detector.description.startswith(f"{name} (embedded, ")
    for photo, count in (("astronaut.png", 1), ("fr_obama.jpg", 1), ("grace_hopper.jpg", 1), ("group.jpg", 3)):
        picture = images.load(examples / photo)
        boxes, _ = detector.detect(picture, detail)
        assert len(boxes) == count
        others = FaceDetector.from_pretrained("yunet").detect(picture, detail)[0]
        assert ious(boxes, others).max(axis=1).min() > 0.5
    assert detector.detect(np.full((64, 64, 3), 90, np.uint8), detail)[0].shape == (0, 4)
    assert hub.requests == []
