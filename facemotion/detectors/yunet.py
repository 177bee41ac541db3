"""YuNet, the embedded detector: OpenCV's model zoo, face_detection_yunet_2023mar.onnx, MIT licence.

Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 2023.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np

from facemotion import weights
from facemotion.detectors.base import FaceDetector, Picture
from facemotion.detectors.boxes import Boxes, Scores, empty

FILE = "face_detection_yunet_2023mar.onnx"
_NMS_IOU = 0.3  # the model zoo's own value
_CANDIDATES = 5000  # boxes before suppression, the model zoo's own value
_loading = Lock()  # how talkative OpenCV is belongs to the whole process


class YuNet(FaceDetector):
    """YuNet from a local ONNX file, run by OpenCV."""

    default_threshold = 0.6

    def __init__(self, path: Path, description: str, notice: str | None = None) -> None:
        super().__init__(description, notice)
        with _quiet_opencv():
            self._net: Any = cv2.FaceDetectorYN.create(str(path), "", (320, 320), 0.6, _NMS_IOU, _CANDIDATES)
        self._lock = Lock()  # the size and the threshold are state of the one network

    @classmethod
    def embedded(cls, notice: str | None = None) -> YuNet:
        """The copy that is installed with the package.

        Raises:
            ChecksumMismatch: the file is not the one that was installed.
        """
        path = weights.embedded("yunet") / FILE
        return cls(path, f"yunet (embedded, {weights.sha256(path)[:8]})", notice)

    def _run(self, picture: Picture, threshold: float) -> tuple[Boxes, Scores]:
        height, width = picture.shape[:2]
        with self._lock:
            self._net.setInputSize((width, height))
            self._net.setScoreThreshold(threshold)
            _, rows = self._net.detect(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        if rows is None:
            return empty()
        boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
        return boxes.astype(np.float32), rows[:, 14].astype(np.float32)


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """OpenCV 5 warns about compute targets that this network does not use."""
    with _loading:
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        try:
            yield
        finally:
            cv2.utils.logging.setLogLevel(level)
