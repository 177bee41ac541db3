"""YuNet, a small embedded detector: face_detection_yunet_2023mar.onnx of OpenCV's model zoo, MIT licence.

Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 2023. ONNX Runtime computes
it, in a third of the time of OpenCV's own FaceDetectorYN; how its outputs are read follows that class.
`training.detector.convert_yunet` tells how the file differs from the model zoo's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from facemotion import runtime, weights
from facemotion.detectors.base import FaceDetector, Image
from facemotion.detectors.boxes import Boxes, Scores, suppress

FILE = "yunet_2023mar.onnx"
STRIDES = (8, 16, 32)  # pixels between the cells of its three outputs
_NMS_IOU = 0.3  # the model zoo's own value
_CANDIDATES = 5000  # boxes before suppression, the model zoo's own value
_OUTPUTS = [f"{kind}_{stride}" for stride in STRIDES for kind in ("cls", "obj", "bbox")]

Values = npt.NDArray[np.float32]


class YuNet(FaceDetector):
    """YuNet from a local ONNX file."""

    default_threshold = 0.6

    def __init__(self, path: Path, description: str, notice: str | None = None) -> None:
        super().__init__(description, notice)
        self._path = path
        self._session = runtime.open_session(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return self._rebuilt_from(self._path)

    @classmethod
    def embedded(cls, notice: str | None = None) -> YuNet:
        """Load the copy that is installed with the package.

        Raises:
            ChecksumMismatch: the file is not the one that was installed.
        """
        path = weights.embedded("yunet") / FILE
        return cls(path, f"yunet (embedded, {weights.sha256(path)[:8]})", notice)

    def _run(self, image: Image, threshold: float) -> tuple[Boxes, Scores]:
        pixels = to_input(image)
        outputs = [values[0] for values in self._session.run(_OUTPUTS, {"input": pixels})]
        columns = pixels.shape[3]
        found = [
            _decode(outputs[3 * index : 3 * index + 3], stride, columns // stride, threshold)
            for index, stride in enumerate(STRIDES)
        ]
        boxes = np.concatenate([boxes for boxes, _ in found])
        scores = np.concatenate([scores for _, scores in found])
        best = np.argsort(-scores, kind="stable")[:_CANDIDATES]
        kept = best[suppress(boxes[best], scores[best], _NMS_IOU)]
        return boxes[kept], scores[kept]


def to_input(image: Image) -> Values:
    """The network's input, float32 BGR 0..255 [1, 3, H, W], of an RGB image padded with black."""
    height, width = image.shape[:2]
    pixels = np.zeros((1, 3, *(-(-side // STRIDES[-1]) * STRIDES[-1] for side in (height, width))), np.float32)
    for channel, values in enumerate(cv2.split(image)):
        pixels[0, 2 - channel, :height, :width] = values
    return pixels


def _decode(outputs: list[Values], stride: int, columns: int, threshold: float) -> tuple[Boxes, Scores]:
    """Boxes and scores at one stride, with `columns` cells to a row.

    For each cell, row by row, the outputs are two scores [N, 1] and the box relative to the cell [N, 4]: its centre,
    and the logarithm of its size.
    """
    classes, objects, offsets = outputs
    scores = np.sqrt(np.clip(classes[:, 0], 0, 1) * np.clip(objects[:, 0], 0, 1))
    (kept,) = np.nonzero(scores >= threshold)
    places = np.stack([kept % columns, kept // columns], axis=1)
    centers = (places + offsets[kept, :2]) * stride
    halves = np.exp(offsets[kept, 2:]) * (stride / 2)
    return np.concatenate([centers - halves, centers + halves], axis=1).astype(np.float32), scores[kept]
