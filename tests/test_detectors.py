"""Face detectors on real pictures: every size of face, every edge, and the choice of one by name."""

from __future__ import annotations

import shutil
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from facemotion import settings, weights
from facemotion.detectors import FaceDetector
from facemotion.detectors.base import Picture
from facemotion.detectors.boxes import suppress
from facemotion.detectors.passes import TILE_OVERLAP, tiles
from facemotion.errors import BadArray, BadOption, HubUnavailable, UnknownModel, WeightsError, WeightsMismatch
from tests.hub import Hub

PHOTOS = ("astronaut.png", "grace_hopper.jpg", "fr_obama.jpg")
ARNABDHAR = "arnabdhar/YOLOv8-Face-Detection"
FACES = {  # roughly, x0 y0 x1 y1, read off the photos by eye
    "astronaut.png": (180, 62, 270, 177),
    "grace_hopper.jpg": (180, 115, 352, 330),
    "fr_obama.jpg": (372, 87, 611, 418),
}

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="session")
def yunet() -> FaceDetector:
    return FaceDetector.from_pretrained("yunet")


@pytest.fixture(scope="session")
def photos(examples: Path) -> dict[str, Picture]:
    return {name: np.asarray(Image.open(examples / name).convert("RGB")) for name in PHOTOS}


@pytest.fixture(scope="session")
def face(photos: dict[str, Picture]) -> Picture:
    """A picture that is all face, 115 x 90 pixels."""
    return photos["astronaut.png"][62:177, 180:270]


def resized(picture: Picture, width: int, height: int) -> Picture:
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def iou(a: Any, b: Any) -> float:
    shared = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    return float(shared / (np.prod(np.subtract(a[2:], a[:2])) + np.prod(np.subtract(b[2:], b[:2])) - shared))


@pytest.mark.parametrize("detail", settings.DETAILS)
@pytest.mark.parametrize("name", PHOTOS)
def test_one_face_in_each_photo(yunet: FaceDetector, photos: dict[str, Picture], name: str, detail: str) -> None:
    boxes, scores = yunet.detect(photos[name], detail)
    assert boxes.shape == (1, 4) and scores.shape == (1,)
    assert boxes.dtype == scores.dtype == np.float32
    assert iou(boxes[0], np.array(FACES[name], float)) > 0.75
    assert 0.8 < scores[0] <= 1


@pytest.mark.parametrize("side", [48, 0, 640, 2000])
def test_a_face_that_fills_the_picture(yunet: FaceDetector, face: Picture, side: int) -> None:
    picture = resized(face, side * 90 // 115, side) if side else face
    boxes, _ = yunet.detect(picture)
    assert len(boxes) == 1
    height, width = picture.shape[:2]
    assert iou(boxes[0], np.array((0, 0, width, height), float)) > 0.6


@pytest.mark.parametrize("part", [np.s_[:, 215:], np.s_[:, :240], np.s_[110:, :], np.s_[:150, :]])
def test_a_face_over_the_edge_has_a_clipped_box(
    yunet: FaceDetector, photos: dict[str, Picture], part: tuple[slice, slice]
) -> None:
    picture = photos["astronaut.png"][part]
    boxes, _ = yunet.detect(picture, threshold=0.4)
    assert len(boxes) == 1
    height, width = picture.shape[:2]
    assert (boxes >= 0).all() and (boxes[:, [0, 2]] <= width).all() and (boxes[:, [1, 3]] <= height).all()
    assert min(boxes.min(), *(np.array([width, height] * 2) - boxes[0])) < 1


def test_faces_of_sixteen_pixels_in_twelve_megapixels(yunet: FaceDetector, photos: dict[str, Picture]) -> None:
    """Some lie over the borders of tiles, one is large; each is found once."""
    canvas = np.full((3000, 4000, 3), 120, np.uint8)
    small = resized(photos["astronaut.png"][0:260, 90:360], 48, 46)  # the face in it is 16 pixels wide
    places = [(x, y) for y in range(30, 2900, 300) for x in range(30, 2600, 277)]
    for x, y in places:
        canvas[y : y + 46, x : x + 48] = small
    canvas[1000:2137, 2900:3810] = photos["fr_obama.jpg"]
    boxes, _ = yunet.detect(canvas, "thorough")
    large = boxes[boxes[:, 2] - boxes[:, 0] > 100]
    centers = np.array([(box[:2] + box[2:]) / 2 for box in boxes if box[2] - box[0] < 40])
    assert len(large) == 1 and iou(large[0], np.array(FACES["fr_obama.jpg"], float) + [2900, 1000] * 2) > 0.75
    assert len(centers) == len(places)
    for x, y in places:
        assert (np.abs(centers - [x + 24, y + 21]) < 6).all(axis=1).sum() == 1


def test_a_hundred_faces(yunet: FaceDetector, photos: dict[str, Picture]) -> None:
    tile = resized(photos["astronaut.png"][20:240, 110:340], 92, 88)
    boxes, scores = yunet.detect(np.tile(tile, (10, 10, 1)))
    assert len(boxes) == 100
    assert (np.diff(scores) <= 0).all()


def test_at_most_max_faces_are_kept_the_largest(
    yunet: FaceDetector, photos: dict[str, Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "MAX_FACES", 1)
    pair = np.zeros((600, 1024, 3), np.uint8)
    pair[:512, :512] = photos["astronaut.png"]
    pair[:, 512:] = photos["grace_hopper.jpg"]
    boxes, _ = yunet.detect(pair)
    assert len(boxes) == 1 and boxes[0, 0] > 512


@pytest.mark.parametrize("name", PHOTOS)
def test_a_mirrored_picture_gives_mirrored_boxes(yunet: FaceDetector, photos: dict[str, Picture], name: str) -> None:
    picture = photos[name]
    boxes, _ = yunet.detect(picture)
    mirrored, _ = yunet.detect(picture[:, ::-1])
    back = mirrored[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [picture.shape[1], 0] * 2
    assert len(boxes) == len(back) == 1
    assert iou(boxes[0], back[0]) > 0.85


@pytest.mark.parametrize("detail", settings.DETAILS)
@pytest.mark.parametrize("shape", [(480, 640, 3), (1, 1, 3), (3, 900, 3), (2000, 10, 3), (1500, 1500, 3)])
def test_no_face_is_an_ordinary_answer(yunet: FaceDetector, shape: tuple[int, ...], detail: str) -> None:
    boxes, scores = yunet.detect(np.full(shape, 90, np.uint8), detail)
    assert boxes.shape == (0, 4) and scores.shape == (0,)
    assert boxes.dtype == scores.dtype == np.float32


@pytest.mark.parametrize(
    "threshold",
    [
        float("nan"),
        float("inf"),
        -0.1,
        1.01,
        "0.5",
        True,
        [0.5],
        1j,
        np.complex64(0.5),
        10**400,
        -(10**400),
        pytest.param(10**5000, id="5001 digits"),
    ],
)
def test_a_threshold_outside_its_range_is_refused(yunet: FaceDetector, face: Picture, threshold: Any) -> None:
    with pytest.raises(BadOption, match="from 0 to 1"):
        yunet.detect(face, threshold=threshold)


@pytest.mark.parametrize("threshold", [0, 0.3, np.float32(0.5), 1])
def test_a_threshold_inside_its_range_is_used(yunet: FaceDetector, photos: dict[str, Picture], threshold: Any) -> None:
    _, scores = yunet.detect(photos["astronaut.png"], "fast", threshold)
    assert (scores >= threshold).all()


@pytest.mark.parametrize("detail", ["", "FAST", None, 3, ["fast"]])
def test_an_unknown_detail_is_refused(yunet: FaceDetector, face: Picture, detail: Any) -> None:
    with pytest.raises(BadOption, match="fast, auto, thorough"):
        yunet.detect(face, detail)


@pytest.mark.parametrize(
    "image",
    [None, "photo.jpg", np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3)),
     np.zeros((0, 9, 3), np.uint8)],
)  # fmt: skip
def test_what_is_no_picture_is_refused(yunet: FaceDetector, image: Any) -> None:
    with pytest.raises(BadArray, match="A picture must"):
        yunet.detect(image)


def test_the_picture_may_be_read_only_and_is_left_alone(yunet: FaceDetector, photos: dict[str, Picture]) -> None:
    view = photos["astronaut.png"][::-1]
    view.flags.writeable = False
    before = view.copy()
    yunet.detect(view, "thorough")
    assert (view == before).all()


def test_threads_do_not_disturb_each_other(yunet: FaceDetector, photos: dict[str, Picture]) -> None:
    """The network's size and threshold are state, and every picture has another size."""
    expected = {name: yunet.detect(picture)[0] for name, picture in photos.items()}
    wrong: list[str] = []

    def work(name: str, detail: str) -> None:
        for _ in range(5):
            boxes, _ = yunet.detect(photos[name], detail, 0.6)
            if detail == "auto" and not np.array_equal(boxes, expected[name]):
                wrong.append(name)

    threads = [threading.Thread(target=work, args=(name, detail)) for name in PHOTOS for detail in ("auto", "fast")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(("width", "height"), [(4000, 3000), (300, 5000), (1024, 1024), (1025, 400), (20, 20)])
def test_tiles_cover_the_picture_and_overlap(width: int, height: int) -> None:
    covered = np.zeros((height, width), bool)
    windows = tiles(width, height, 1024)
    for window in windows:
        assert window.scale == 1 and max(window.size) <= 1024
        covered[window.y0 : window.y1, window.x0 : window.x1] = True
    assert covered.all()
    starts, ends = sorted({window.x0 for window in windows}), sorted({window.x1 for window in windows})
    assert all(end - start >= TILE_OVERLAP for start, end in zip(starts[1:], ends[:-1], strict=True))


def test_tiles_of_a_huge_picture_are_bounded() -> None:
    assert sum(np.prod(window.size) for window in tiles(20_000, 20_000, 1024)) < 30_000_000


def test_suppression_keeps_the_best_of_each_cluster() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [0, 0, 3, 3]], np.float32)
    assert suppress(boxes, np.array([0.5, 0.9, 0.7, 0.6], np.float32), 0.4).tolist() == [1, 2, 3]
    assert suppress(boxes[:0], np.zeros(0, np.float32), 0.4).tolist() == []


def test_the_description_names_the_weights(yunet: FaceDetector) -> None:
    assert yunet.description == "yunet (embedded, 8ac30af0)"
    assert yunet.notice is None


@pytest.mark.parametrize(
    ("name", "error", "named"),
    [
        ("haar", UnknownModel, "haar"),
        ("", UnknownModel, "''"),
        ("a/b/c", UnknownModel, "a/b/c"),
        ("nowhere.pt", UnknownModel, "nowhere"),
        ("nowhere/model.onnx", UnknownModel, "model"),
        ("{folder}", WeightsError, "OpenVINO"),
        ("{text}", WeightsMismatch, "text"),
    ],
)
def test_what_is_no_detector_is_refused(tmp_path: Path, name: str, error: type[WeightsError], named: str) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("no network")
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(error, match=named):
        FaceDetector.from_pretrained(name.format(folder=folder, text=text))


def test_the_default_falls_back_on_the_embedded_one_and_says_so(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, photos: dict[str, Picture]
) -> None:
    hub.__exit__()
    monkeypatch.setenv("FACEMOTION_DETECTOR", ARNABDHAR)
    detector = FaceDetector.from_pretrained("default")
    assert detector.description.startswith("yunet (embedded")
    assert detector.notice is not None and ARNABDHAR in detector.notice
    assert len(detector.detect(photos["astronaut.png"])[0]) == 1
    with pytest.raises(HubUnavailable, match=ARNABDHAR):
        FaceDetector.from_pretrained(ARNABDHAR)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Two busy threads on two cores that others use as well take ten times as long as one."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def checkpoint(test_assets: Path) -> bytes:
    return (test_assets / "reference" / "yolov8n-face.pt").read_bytes()


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", [ARNABDHAR, "default"])
def test_a_yolo_from_the_hub(  # noqa: PLR0917
    hub: Hub, checkpoint: bytes, monkeypatch: pytest.MonkeyPatch, photos: dict[str, Picture], face: Picture, name: str
) -> None:
    monkeypatch.setenv("FACEMOTION_DETECTOR", ARNABDHAR)
    revision = hub.publish(ARNABDHAR, {"model.pt": checkpoint})
    with pytest.warns(UserWarning, match="pickle") as caught:
        detector = FaceDetector.from_pretrained(name)
    pin = str(caught[0].message).split()[-1].rstrip(".")
    assert pin.startswith(f"{ARNABDHAR}@{revision}#")
    assert detector.description.startswith(f"{ARNABDHAR}@{revision[:8]} (Hub, ")
    for photo in PHOTOS:
        boxes, _ = detector.detect(photos[photo])
        assert len(boxes) == 1 and iou(boxes[0], np.array(FACES[photo], float)) > 0.7
    assert len(detector.detect(face)[0]) == 1
    assert detector.detect(np.full((64, 64, 3), 90, np.uint8))[0].shape == (0, 4)
    if name == ARNABDHAR:
        hub.requests.clear()
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # pinned in full: nothing left to say
            FaceDetector.from_pretrained(pin)
        assert hub.requests == []


@pytest.mark.parametrize("detail", settings.DETAILS)
def test_a_yolo_export_by_its_path(test_assets: Path, photos: dict[str, Picture], detail: str) -> None:
    path = test_assets / "reference" / "yolov8n-face.onnx"
    detector = FaceDetector.from_pretrained(str(path))
    assert detector.description == f"yolov8n-face.onnx (local, {weights.sha256(path)[:8]})"
    for name in PHOTOS:
        boxes, _ = detector.detect(photos[name], detail)
        assert len(boxes) == 1 and iou(boxes[0], np.array(FACES[name], float)) > 0.7


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the exporter
def test_an_openvino_export(test_assets: Path, photos: dict[str, Picture], tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    from facemotion import compat

    checkpoint = shutil.copy(test_assets / "reference" / "yolov8n-face.pt", tmp_path / "face.pt")
    with compat.keep_threads():
        folder = compat.import_ultralytics().YOLO(checkpoint).export(format="openvino", imgsz=320, dynamic=True)
    detector = FaceDetector.from_pretrained(str(Path(folder)))
    for name in PHOTOS:
        boxes, _ = detector.detect(photos[name])
        assert len(boxes) == 1 and iou(boxes[0], np.array(FACES[name], float)) > 0.7


def test_a_checkpoint_that_knows_no_faces_is_refused(test_assets: Path) -> None:
    with pytest.raises(WeightsMismatch, match="no class called face"), pytest.warns(UserWarning, match="pickle"):
        FaceDetector.from_pretrained(str(test_assets / "reference" / "yolo11n.pt"))
