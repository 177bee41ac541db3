"""The embedded YOLOv8n-face beside the file that it was made from: converted for all sizes, then quantised."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from facemotion import images, weights
from facemotion.detectors.boxes import ious
from facemotion.detectors.onnx_yolo import OnnxYolo
from training.common.constants import ASSETS
from training.common.errors import DataError
from training.detector import convert_yolov8_face as yolov8_face
from training.detector import quantize

# Of ultralytics' exporter, about its own code.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

THRESHOLD = 0.5  # the faces of the photos score .69 and more, all else much less
PHOTOS = ("astronaut.png", "fr_obama.jpg", "grace_hopper.jpg", "group.jpg", "rotated.jpg")


@pytest.fixture(scope="module")
def float_folder(test_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("converted") / "float"
    yolov8_face.convert(test_assets / "reference" / "yolov8n-face.onnx", folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of noise: what ranges they give does not matter here."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for number in range(12):
        Image.fromarray(random.integers(0, 256, (90, 120, 3), np.uint8)).save(folder / "images" / f"p{number}.png")
        (folder / "labels" / f"p{number}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    return folder


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_converted_network_answers_as_the_original(float_folder: Path) -> None:
    config = json.loads((float_folder / "config.json").read_text())
    assert config["parity"]["pixels"] < yolov8_face.MAX_PX and config["parity"]["score"] < yolov8_face.MAX_SCORE
    assert (config["threshold"], config["suppress"]) == (0.4, 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("photo", PHOTOS)
def test_the_embedded_network_finds_the_same_faces(float_folder: Path, photo: str) -> None:
    image = images.load(ASSETS / "examples" / photo)
    exact, embedded = OnnxYolo(float_folder, "float"), OnnxYolo(weights.embedded("yolov8n-face"), "quantised")
    (boxes, scores), (found, found_scores) = (d.detect(image, threshold=THRESHOLD) for d in (exact, embedded))
    assert len(found) == len(boxes) > 0
    overlaps = ious(boxes, found)
    assert (overlaps.max(axis=1) > 0.9).all()
    np.testing.assert_allclose(found_scores[overlaps.argmax(axis=1)], scores, rtol=0, atol=0.05)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_only_the_convolutions_before_the_boxes_are_quantised(float_folder: Path, data: Path, tmp_path: Path) -> None:
    config = quantize.quantize(float_folder, [data], tmp_path / "out", count=10, threshold=0.3)
    assert config["quantized"]["photos"] == 8 and config["threshold"] == 0.3
    assert "parity" not in config and config["float_parity"]["pixels"] < yolov8_face.MAX_PX
    assert config["bytes"] < (float_folder / "model.onnx").stat().st_size / 3
    graph = onnx.load(tmp_path / "out" / "model.onnx").graph
    made_by = {output: node for node in graph.node for output in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    exact = [node.name for node in convolutions if made_by[node.input[0]].op_type != "DequantizeLinear"]
    last = [f"/model.22/cv{branch}.{level}/cv{branch}.{level}.2/Conv" for branch in (2, 3) for level in range(3)]
    assert sorted(exact) == sorted(["/model.22/dfl/conv/Conv", *last]) and len(convolutions) > 60
    weights_of = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    integers = [values for values in weights_of.values() if values.dtype == np.int8 and values.ndim == 4]
    assert len(integers) == len(convolutions) - len(exact)
    assert max(np.abs(values.astype(int)).max() for values in integers) <= 64  # 7 bits
    detector = OnnxYolo(tmp_path / "out", "quantised")
    assert detector.default_threshold == 0.3
    with pytest.raises(DataError, match="which is quantised or is --out: name the float32 export"):
        quantize.quantize(tmp_path / "out", [data], tmp_path / "twice")


@pytest.mark.slow
def test_what_cannot_be_quantised(float_folder: Path, data: Path, tmp_path: Path) -> None:
    folder = float_folder
    with pytest.raises(DataError, match="--threshold must be between 0 and 1"):
        quantize.quantize(folder, [data], tmp_path / "out", threshold=1.0)
    with pytest.raises(DataError, match="calibration needs 8 photos or more, but got 5"):
        quantize.quantize(folder, [data], tmp_path / "out", count=5)
    with pytest.raises(DataError, match="calibration needs 8 photos or more, but got -5"):
        quantize.quantize(folder, [data], tmp_path / "out", count=-5)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(b"another")
    with pytest.raises(DataError, match="is not the file with the SHA-256"):
        yolov8_face.convert(tmp_path / "other.onnx", tmp_path / "out")
