"""The choice of a face detector by name: what serves by default, what comes from the Hub or a path, what is refused."""

from __future__ import annotations

import pickle
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from facemotion import settings, weights
from facemotion.detectors import FaceDetector
from facemotion.detectors.base import Image
from facemotion.errors import HubUnavailable, UnknownModel, WeightsError, WeightsMismatch
from tests.support.hub.downloads import Hub
from tests.support.media.example_faces import FACES, PHOTOS, iou

ARNABDHAR = "arnabdhar/YOLOv8-Face-Detection"

pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]


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


@pytest.mark.parametrize(
    ("variables", "default", "live"),
    [
        ({}, "yolo", "yunet"),
        ({"DETECTOR": "yunet"}, "yunet", "yunet"),
        ({"DETECTOR": "yolov8n-face"}, "yolov8n-face", "yolov8n-face"),  # who names one gets it for all
        ({"LIVE_DETECTOR": "yolov8n-face"}, "yolo", "yolov8n-face"),
        ({"DETECTOR": "yunet", "LIVE_DETECTOR": "yolo"}, "yunet", "yolo"),
    ],
)
def test_which_detectors_serve(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], default: str, live: str
) -> None:
    for name in ("DETECTOR", "LIVE_DETECTOR"):
        monkeypatch.delenv(f"FACEMOTION_{name}", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(f"FACEMOTION_{name}", value)
    for wanted, expected in (("default", default), ("live", live)):
        assert FaceDetector.from_pretrained(wanted).description.startswith(f"{expected} (embedded, ")


def test_the_default_falls_back_on_the_embedded_one_and_says_so(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, photos: dict[str, Image]
) -> None:
    hub.__exit__()
    monkeypatch.setenv("FACEMOTION_DETECTOR", ARNABDHAR)
    detector = FaceDetector.from_pretrained("default")
    assert detector.description.startswith("yunet (embedded")
    assert detector.notice is not None and ARNABDHAR in detector.notice
    assert len(detector.detect(photos["astronaut.png"])[0]) == 1
    with pytest.raises(HubUnavailable, match=ARNABDHAR):
        FaceDetector.from_pretrained(ARNABDHAR)


@pytest.fixture(scope="module")
def checkpoint(test_assets: Path) -> bytes:
    return (test_assets / "reference" / "yolov8n-face.pt").read_bytes()


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", [ARNABDHAR, "default"])
def test_a_yolo_from_the_hub(  # noqa: PLR0917
    hub: Hub, checkpoint: bytes, monkeypatch: pytest.MonkeyPatch, photos: dict[str, Image], face: Image, name: str
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
def test_a_yolo_export_by_its_path(test_assets: Path, photos: dict[str, Image], detail: str) -> None:
    path = test_assets / "reference" / "yolov8n-face.onnx"
    detector = FaceDetector.from_pretrained(str(path))
    assert detector.description == f"yolov8n-face.onnx (local, {weights.sha256(path)[:8]})"
    for name in PHOTOS:
        boxes, _ = detector.detect(photos[name], detail)
        assert len(boxes) == 1 and iou(boxes[0], np.array(FACES[name], float)) > 0.7


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the exporter
def test_an_openvino_export(test_assets: Path, photos: dict[str, Image], tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    from facemotion.detectors import ultralytics_compat

    checkpoint = shutil.copy(test_assets / "reference" / "yolov8n-face.pt", tmp_path / "face.pt")
    with ultralytics_compat.keep_threads():
        folder = (
            ultralytics_compat.import_ultralytics().YOLO(checkpoint).export(format="openvino", imgsz=320, dynamic=True)
        )
    detector = FaceDetector.from_pretrained(str(Path(folder)))
    for name in PHOTOS:
        boxes, _ = detector.detect(photos[name])
        assert len(boxes) == 1 and iou(boxes[0], np.array(FACES[name], float)) > 0.7
    copy = pickle.loads(pickle.dumps(detector))  # for other processes
    assert copy.description == detector.description and copy.tile_side == detector.tile_side
    np.testing.assert_array_equal(copy.detect(photos[name])[0], boxes)


def test_a_checkpoint_that_knows_no_faces_is_refused(test_assets: Path) -> None:
    with pytest.raises(WeightsMismatch, match="no class called face"), pytest.warns(UserWarning, match="pickle"):
        FaceDetector.from_pretrained(str(test_assets / "reference" / "yolo11n.pt"))
