"""Face detectors on real pictures: every size of face, every edge."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest

from facemotion import settings
from facemotion.detectors import FaceDetector
from facemotion.detectors.base import Image
from facemotion.detectors.tiling import TILE_OVERLAP, tiles
from facemotion.errors import BadArray, BadOption
from tests.support.media.example_faces import FACES, PHOTOS, iou

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="session", params=["yolov8n-face", "yolo", "yunet"])
def detector(request: pytest.FixtureRequest) -> FaceDetector:
    return FaceDetector.from_pretrained(request.param)


def resized(picture: Image, width: int, height: int) -> Image:
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


@pytest.mark.parametrize("detail", settings.DETAILS)
@pytest.mark.parametrize("name", PHOTOS)
def test_one_face_in_each_photo(detector: FaceDetector, photos: dict[str, Image], name: str, detail: str) -> None:
    boxes, scores = detector.detect(photos[name], detail)
    assert boxes.shape == (1, 4) and scores.shape == (1,)
    assert boxes.dtype == scores.dtype == np.float32
    assert iou(boxes[0], np.array(FACES[name], float)) > 0.75
    assert detector.default_threshold + 0.1 < scores[0] <= 1  # sure, in its own terms


@pytest.mark.parametrize("side", [48, 0, 640, 2000])
def test_a_face_that_fills_the_picture(detector: FaceDetector, face: Image, side: int) -> None:
    picture = resized(face, side * 90 // 115, side) if side else face
    boxes, _ = detector.detect(picture)
    assert len(boxes) == 1
    height, width = picture.shape[:2]
    assert iou(boxes[0], np.array((0, 0, width, height), float)) > 0.6


@pytest.mark.parametrize("upright", [False, True], ids=["wide", "tall"])
def test_small_faces_in_a_panorama(detector: FaceDetector, photos: dict[str, Image], upright: bool) -> None:
    """Five faces of 64 pixels in 4000 x 1000, side by side or one above the other."""
    x0, y0, x1, y1 = FACES["astronaut.png"]
    scale = 64 / (y1 - y0)
    woman = cv2.resize(photos["astronaut.png"], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    picture = np.full((4000, 1000, 3) if upright else (1000, 4000, 3), 120, np.uint8)
    places = [(400, 300 + 760 * index) if upright else (300 + 760 * index, 400) for index in range(5)]
    for left, top in places:
        picture[top : top + woman.shape[0], left : left + woman.shape[1]] = woman
    boxes, _ = detector.detect(picture)
    expected = [np.array([x + x0 * scale, y + y0 * scale, x + x1 * scale, y + y1 * scale]) for x, y in places]
    assert len(boxes) == len(places)
    assert all(max(iou(box, one) for box in boxes) > 0.5 for one in expected)


@pytest.mark.parametrize("part", [np.s_[:, 215:], np.s_[:, :240], np.s_[110:, :], np.s_[:150, :]])
def test_a_face_over_the_edge_has_a_clipped_box(
    detector: FaceDetector, photos: dict[str, Image], part: tuple[slice, slice]
) -> None:
    picture = photos["astronaut.png"][part]
    boxes, _ = detector.detect(picture, threshold=0.4)
    assert len(boxes) == 1
    height, width = picture.shape[:2]
    assert (boxes >= 0).all() and (boxes[:, [0, 2]] <= width).all() and (boxes[:, [1, 3]] <= height).all()
    assert min(boxes.min(), *(np.array([width, height] * 2) - boxes[0])) < 1


@pytest.mark.slow
def test_faces_of_sixteen_pixels_in_twelve_megapixels(detector: FaceDetector, photos: dict[str, Image]) -> None:
    """Some lie over the borders of tiles, one is large; each is found once."""
    canvas = np.full((3000, 4000, 3), 120, np.uint8)
    small = resized(photos["astronaut.png"][0:260, 90:360], 48, 46)  # the face in it is 16 pixels wide
    places = [(x, y) for y in range(30, 2900, 300) for x in range(30, 2600, 277)]
    for x, y in places:
        canvas[y : y + 46, x : x + 48] = small
    canvas[1000:2137, 2900:3810] = photos["fr_obama.jpg"]
    boxes, _ = detector.detect(canvas, "thorough")
    large = boxes[boxes[:, 2] - boxes[:, 0] > 100]
    centers = np.array([(box[:2] + box[2:]) / 2 for box in boxes if box[2] - box[0] < 40])
    assert len(large) == 1 and iou(large[0], np.array(FACES["fr_obama.jpg"], float) + [2900, 1000] * 2) > 0.75
    hits = [(np.abs(centers - [x + 24, y + 21]) < 6).all(axis=1).sum() for x, y in places]
    assert max(hits) == 1 and sum(hits) == len(centers) == len(places)


def test_a_hundred_faces(detector: FaceDetector, photos: dict[str, Image]) -> None:
    tile = resized(photos["astronaut.png"][20:240, 110:340], 92, 88)
    boxes, scores = detector.detect(np.tile(tile, (10, 10, 1)))
    assert len(boxes) == 100
    assert (np.diff(scores) <= 0).all()


def test_at_most_max_faces_are_kept_the_largest(
    detector: FaceDetector, photos: dict[str, Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "MAX_FACES", 1)
    pair = np.zeros((600, 1024, 3), np.uint8)
    pair[:512, :512] = photos["astronaut.png"]
    pair[:, 512:] = photos["grace_hopper.jpg"]
    boxes, _ = detector.detect(pair)
    assert len(boxes) == 1 and boxes[0, 0] > 512


@pytest.mark.parametrize("name", PHOTOS)
def test_a_mirrored_picture_gives_mirrored_boxes(detector: FaceDetector, photos: dict[str, Image], name: str) -> None:
    picture = photos[name]
    boxes, _ = detector.detect(picture)
    mirrored, _ = detector.detect(picture[:, ::-1])
    back = mirrored[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [picture.shape[1], 0] * 2
    assert len(boxes) == len(back) == 1
    assert iou(boxes[0], back[0]) > 0.85


@pytest.mark.parametrize("detail", settings.DETAILS)
@pytest.mark.parametrize("shape", [(480, 640, 3), (1, 1, 3), (3, 900, 3), (2000, 10, 3), (1500, 1500, 3)])
def test_no_face_is_an_ordinary_answer(detector: FaceDetector, shape: tuple[int, ...], detail: str) -> None:
    boxes, scores = detector.detect(np.full(shape, 90, np.uint8), detail)
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
def test_a_threshold_outside_its_range_is_refused(detector: FaceDetector, face: Image, threshold: Any) -> None:
    with pytest.raises(BadOption, match="from 0 to 1"):
        detector.detect(face, threshold=threshold)


@pytest.mark.parametrize("threshold", [0, 0.3, np.float32(0.5), 1])
def test_a_threshold_inside_its_range_is_used(detector: FaceDetector, photos: dict[str, Image], threshold: Any) -> None:
    _, scores = detector.detect(photos["astronaut.png"], "fast", threshold)
    assert (scores >= threshold).all()


@pytest.mark.parametrize("detail", ["", "FAST", None, 3, ["fast"]])
def test_an_unknown_detail_is_refused(detector: FaceDetector, face: Image, detail: Any) -> None:
    with pytest.raises(BadOption, match="fast, auto, thorough"):
        detector.detect(face, detail)


@pytest.mark.parametrize(
    "image",
    [None, "photo.jpg", np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3)),
     np.zeros((0, 9, 3), np.uint8)],
)  # fmt: skip
def test_what_is_no_picture_is_refused(detector: FaceDetector, image: Any) -> None:
    with pytest.raises(BadArray, match="A picture must"):
        detector.detect(image)


def test_the_picture_may_be_read_only_and_is_left_alone(detector: FaceDetector, photos: dict[str, Image]) -> None:
    view = photos["astronaut.png"][::-1]
    view.flags.writeable = False
    before = view.copy()
    detector.detect(view, "thorough")
    assert (view == before).all()


@pytest.mark.slow
def test_threads_do_not_disturb_each_other(detector: FaceDetector, photos: dict[str, Image]) -> None:
    """The network's size and threshold are state, and every picture has another size."""
    expected = {name: detector.detect(picture)[0] for name, picture in photos.items()}
    wrong: list[str] = []

    def work(name: str, detail: str) -> None:
        for _ in range(3):
            boxes, _ = detector.detect(photos[name], detail, 0.6)
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


def test_tiles_overlap_no_more_than_they_must() -> None:
    windows = tiles(4000, 3000, 1152)
    assert len(windows) == 12 and {window.size for window in windows} == {(1120, 1107)}
    starts = sorted({window.x0 for window in windows})
    assert [start + 1120 - after for start, after in pairwise(starts)] == [TILE_OVERLAP] * 3


def test_one_pass_is_one_size_and_nothing_more(detector: FaceDetector, photos: dict[str, Image]) -> None:
    picture = photos["astronaut.png"]
    boxes, scores = detector.detect_once(picture, 640)
    assert len(boxes) == len(scores) == 1 and iou(boxes[0], np.array(FACES["astronaut.png"], float)) > 0.75
    assert detector.detect_once(picture, 20)[0].shape == (0, 4)  # the face is 4 pixels wide there
    seen: list[tuple[int, ...]] = []
    with pytest.MonkeyPatch.context() as patch:
        run = type(detector)._run
        patch.setattr(type(detector), "_run", lambda self, p, t: seen.append(p.shape[:2]) or run(self, p, t))
        detector.detect_once(picture, 1024)
        detector.detect_once(picture, 1024, enlarge=1.5)
    assert seen == [(512, 512), (768, 768)]
    with pytest.raises(BadOption, match="from 0 to 1"):
        detector.detect_once(picture, 640, 2)


def test_tiles_of_a_huge_picture_are_bounded() -> None:
    assert sum(np.prod(window.size) for window in tiles(20_000, 20_000, 1024)) < 30_000_000


class Coarse(FaceDetector):
    """Finds one face in every pass, the more exactly the larger it sees it, with scores that say the opposite."""

    default_threshold = 0.5

    def __init__(self, face: tuple[float, ...], side: int) -> None:
        super().__init__("coarse")
        self.face, self.side = np.array(face, np.float32), side

    def _run(self, picture: Image, threshold: float) -> tuple[Any, Any]:
        scale = max(picture.shape[:2]) / self.side
        box = self.face * scale + np.array([0, 0, 1, 1], np.float32) * 3  # off by three pixels of the pass
        return box[None].astype(np.float32), np.array([0.6 if scale > 0.3 else 0.9], np.float32)


@pytest.mark.parametrize(("width", "of_pass"), [(40, 640), (120, 256)])
def test_a_face_is_taken_from_the_pass_that_sees_it_well(width: int, of_pass: int) -> None:
    picture = np.zeros((1280, 1280, 3), np.uint8)
    boxes, _ = Coarse((300, 300, 300 + width, 300 + width), 1280).detect(picture)
    assert len(boxes) == 1
    assert boxes[0, 2] - 300 - width == pytest.approx(3 * 1280 / of_pass)


def test_a_small_face_of_a_large_photo_is_taken_from_its_tile() -> None:
    class Everywhere(Coarse):
        def _run(self, picture: Image, threshold: float) -> tuple[Any, Any]:
            whole = picture.shape[0] < 700
            box = self.face * (640 / 2000 if whole else 1) + np.array([0, 0, 6, 6], np.float32)
            return box[None].astype(np.float32), np.array([0.9 if whole else 0.6], np.float32)

    found, _ = Everywhere((100, 100, 140, 140), 2000).detect(np.zeros((2000, 2000, 3), np.uint8), "thorough")
    assert [100, 100, 146, 146] in found.tolist() and [100, 100, 158.75, 158.75] not in found.tolist()


def test_the_description_names_the_weights(detector: FaceDetector) -> None:
    assert detector.description in {
        "yolov8n-face (embedded, d4e423dc) + yunet (embedded, 8ac30af0)",
        "yolo (embedded, 7f1c7869) + yunet (embedded, 8ac30af0)",
        "yunet (embedded, 8ac30af0)",
    }
    assert detector.notice is None
