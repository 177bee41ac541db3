"""The embedded YOLOv8n-face beside the file that it was made from."""

from __future__ import annotations

from pathlib import Path

import pytest

from facemotion import weights
from training.common.errors import DataError
from training.detector import convert_yolov8_face as yolov8_face


@pytest.mark.slow
def test_the_embedded_network_answers_as_the_original(test_assets: Path) -> None:
    original = test_assets / "reference" / "yolov8n-face.onnx"
    parity = yolov8_face.difference(original, weights.embedded("yolov8n-face") / "model.onnx")
    assert parity["pixels"] < yolov8_face.MAX_PX and parity["score"] < yolov8_face.MAX_SCORE


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_the_conversion_can_be_repeated(test_assets: Path, tmp_path: Path) -> None:
    config = yolov8_face.convert(test_assets / "reference" / "yolov8n-face.onnx", tmp_path / "again")
    assert config["bytes"] < 6_500_000  # half of the original's
    assert (config["threshold"], config["suppress"]) == (0.4, 0.5)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(b"another")
    with pytest.raises(DataError, match="is not the file with the SHA-256"):
        yolov8_face.convert(tmp_path / "other.onnx", tmp_path / "out")
