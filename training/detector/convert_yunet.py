"""OpenCV's YuNet -> the copy that is embedded, which ONNX Runtime can run on pictures of every size.

    python -m training.detector.convert_yunet face_detection_yunet_2023mar.onnx

The file is that of OpenCV's model zoo (github.com/opencv/opencv_zoo, models/face_detection_yunet), SHA-256 8f2383e4...
It declares inputs of 640 x 640, which OpenCV passes over and ONNX Runtime insists on. Only these declarations are
left out; weights and operations stay. Prints how far boxes and scores differ from OpenCV's own on the example photos.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facemotion import images
from facemotion.detectors.yunet import FILE, YuNet
from training.common.constants import ASSETS
from training.common.files import update_checksums

ORIGINAL_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
MAX_DIFFERENCE = 1.0  # of a box in pixels: OpenCV rounds boxes to whole ones before it drops those that overlap
PHOTOS = ("astronaut.png", "fr_obama.jpg", "grace_hopper.jpg", "group.jpg")
THRESHOLD = 0.6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("original", type=Path, help="face_detection_yunet_2023mar.onnx")
    original = parser.parse_args().original
    target = ASSETS / "yunet" / FILE
    target.write_bytes(freed(original))
    update_checksums(ASSETS)
    pixels, score = difference(original, target)
    print(f"{target}: boxes differ by at most {pixels:.2g} pixels, scores by {score:.1e}")
    if pixels > MAX_DIFFERENCE:
        raise SystemExit(f"That is more than {MAX_DIFFERENCE} pixels: do not serve it.")


def freed(original: Path) -> bytes:
    """The same network without the sizes that it declares for its input and for all that follows from them."""
    import onnx  # noqa: PLC0415  (of requirements-train.txt)

    model = onnx.load(original)
    height, width = model.graph.input[0].type.tensor_type.shape.dim[2:]
    height.dim_param, width.dim_param = "height", "width"
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def difference(original: Path, target: Path) -> tuple[float, float]:
    """The largest differences, in pixels of the pictures that the network is given, and in scores."""
    served, pixels, score = YuNet(target, "as served"), 0.0, 0.0
    for name in PHOTOS:
        picture = images.load(ASSETS / "examples" / name)
        small = np.asarray(cv2.resize(picture, (320, 320 * picture.shape[0] // picture.shape[1])), np.uint8)
        boxes, scores = served._run(small, THRESHOLD)
        expected = _by_opencv(original, small)
        if len(boxes) != len(expected):
            raise SystemExit(f"{name}: {len(boxes)} faces, OpenCV finds {len(expected)}.")
        order, known = np.argsort(-scores), np.argsort(-expected[:, 14])
        corners = np.concatenate([expected[known, :2], expected[known, :2] + expected[known, 2:4]], axis=1)
        pixels = max(pixels, float(np.abs(boxes[order] - corners).max()))
        score = max(score, float(np.abs(scores[order] - expected[known, 14]).max()))
    return pixels, score


def _by_opencv(original: Path, picture: NDArray[np.uint8]) -> NDArray[Any]:
    size = (picture.shape[1], picture.shape[0])
    detector = cv2.FaceDetectorYN.create(str(original), "", size, THRESHOLD, 0.3, 5000)
    _, rows = detector.detect(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return np.zeros((0, 15)) if rows is None else np.asarray(rows)


if __name__ == "__main__":
    main()
