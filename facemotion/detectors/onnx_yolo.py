"""YOLO face detectors as ONNX, run without ultralytics and PyTorch.

model.onnx takes float32 RGB 0..1 [1, 3, H, W], H and W multiples of 32 from 128 on. An end-to-end network returns
float32 [1, N, 6]: x0 y0 x1 y1 score class in pixels of the input, one row a face, best first, with rows of low scores
behind. A network of the older kind (YOLOv8, YOLO11) returns float32 [1, 5, N]: center-x center-y width height score,
with many boxes on each face; its config.json gives `suppress`, the overlap above which only the best box stays.
config.json tells the format, the threshold and the checksum too. Reading either file runs no code, as unpickling would.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from facemotion import runtime, settings, weights
from facemotion.detectors.base import FaceDetector, Image
from facemotion.detectors.boxes import Boxes, Scores, suppress
from facemotion.errors import ChecksumMismatch, RevisionNotFound, WeightsMismatch

FORMAT = "facemotion-detector-1"
WEIGHTS_FILE, CONFIG_FILE = "model.onnx", "config.json"
STRIDE = 32
MIN_INPUT_SIDE = 128  # pixels; below, the network has fewer cells than output rows
_CANDIDATES = 5000  # boxes before suppression, which limits its time; a face has about ten
GREY = 114  # padding, as in training

Runtime = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]


class OnnxYolo(FaceDetector):
    """A detector from a folder with model.onnx and config.json.

    ONNX Runtime computes, in two thirds of OpenCV's time.

    Raises:
        WeightsMismatch: a file is missing or not of this format.
        ChecksumMismatch: model.onnx is not the one that config.json names.
    """

    default_threshold = 0.4

    enlarge = 3.0  # of 1, 1.5, 2 and 3 the best for `yolo` on the training set's photos of 224 and 416 pixels

    def __init__(self, folder: Path, description: str, notice: str | None = None) -> None:
        super().__init__(description, notice)
        config = read_config(folder / CONFIG_FILE)
        path = folder / WEIGHTS_FILE
        if not path.is_file():
            raise WeightsMismatch(
                f"{folder.name} holds no {WEIGHTS_FILE}. Name a folder that training.detector.train exported."
            )
        if weights.sha256(path) != config["sha256"]:
            raise ChecksumMismatch(
                f"{WEIGHTS_FILE} is not the one that {CONFIG_FILE} beside it names. Export it again."
            )
        self.default_threshold = float(config["threshold"])
        self.enlarge = float(config.get("enlarge", self.enlarge))
        self.config = config
        self._folder = folder
        self._suppress: float | None = config.get("suppress")
        self._run_network = _open_checked(path, rows_of=5 if self._suppress else 6)

    def __reduce__(self) -> tuple[Any, ...]:
        return self._rebuilt_from(self._folder)

    @classmethod
    def embedded(cls, name: str = "yolo", notice: str | None = None) -> OnnxYolo:
        """Load a network that is installed with the package.

        Raises:
            WeightsError: there is none, or it is damaged.
        """
        folder = weights.embedded(name)
        return cls(folder, f"{name} (embedded, {weights.sha256(folder / WEIGHTS_FILE)[:8]})", notice)

    @classmethod
    def from_hub(cls, reference: settings.Reference) -> OnnxYolo | None:
        """Load `model.onnx` of a repository; None if the repository has another format.

        The reference's checksum is that of model.onnx; config.json is of the same revision.

        Raises:
            WeightsError: it cannot be had, or is not what it should be.
        """
        try:
            config = weights.resolve(settings.Reference(reference.repo, reference.revision), CONFIG_FILE)
        except RevisionNotFound:
            return None
        if not has_our_format(config):
            return None
        # The revision that config.json came from: a branch may move between the two requests.
        revision = weights.pinned(reference, config).revision
        path = weights.resolve(settings.Reference(reference.repo, revision, reference.sha256), WEIGHTS_FILE)
        return cls(path.parent, f"{reference.repo}@{(revision or 'main')[:8]} (Hub, {weights.sha256(path)[:8]})")

    @classmethod
    def from_path(cls, folder: Path) -> OnnxYolo:
        """Load an export from a local folder."""
        name = folder.resolve().name
        path = folder / WEIGHTS_FILE
        return cls(folder, f"{name} (local{', ' + weights.sha256(path)[:8] if path.is_file() else ''})")

    def _run(self, image: Image, threshold: float) -> tuple[Boxes, Scores]:
        found = self._run_network(to_input(image))[0]
        if self._suppress is not None:
            return _decode_with_suppression(found, threshold, self._suppress)
        kept = found[:, 4] >= threshold
        return np.asarray(found[kept, :4]), np.asarray(found[kept, 4])


def _decode_with_suppression(columns: npt.NDArray[np.float32], threshold: float, iou: float) -> tuple[Boxes, Scores]:
    """Boxes and scores of float32 [5, N] (center-x, center-y, width, height, score), suppressed at `iou`."""
    columns = columns[:, columns[4] >= threshold]
    best = np.argsort(-columns[4], kind="stable")[:_CANDIDATES]
    centers, sizes, scores = columns[:2, best].T, columns[2:4, best].T, columns[4, best]
    boxes = np.concatenate([centers - sizes / 2, centers + sizes / 2], axis=1)
    kept = suppress(boxes, scores, iou)
    return boxes[kept], scores[kept]


def to_input(image: Image) -> npt.NDArray[np.float32]:
    """The network's input, float32 [1, 3, H, W], of an RGB image padded with grey."""
    height, width = image.shape[:2]
    rows, columns = (max(MIN_INPUT_SIDE, -(-side // STRIDE) * STRIDE) for side in (height, width))
    padded = cv2.copyMakeBorder(
        image, 0, rows - height, 0, columns - width, cv2.BORDER_CONSTANT, value=(GREY, GREY, GREY)
    )
    return np.asarray(np.ascontiguousarray(padded.transpose(2, 0, 1)[None]) / np.float32(255), np.float32)


def has_our_format(config: Path) -> bool:
    """Whether a config.json describes a detector of this format."""
    try:
        content = json.loads(config.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("format") == FORMAT


def read_config(file: Path) -> dict[str, Any]:
    """Read and check config.json.

    Raises:
        WeightsMismatch: it is missing or not of this format.
    """
    if not has_our_format(file):
        raise WeightsMismatch(f"{file.name} is missing or not of the format {FORMAT}. Export the detector again.")
    config: dict[str, Any] = json.loads(file.read_text("utf-8"))
    threshold, checksum = config.get("threshold"), config.get("sha256")
    if not isinstance(threshold, float) or not 0 < threshold < 1 or not isinstance(checksum, str):
        raise WeightsMismatch(f"{file.name} must give a threshold between 0 and 1, and the sha256 of {WEIGHTS_FILE}.")
    for name, least, most in (("suppress", 0.0, 1.0), ("enlarge", 1.0, 8.0)):
        value = config.get(name, most)
        if not isinstance(value, float) or not least <= value <= most:
            raise WeightsMismatch(f"{name} in {file.name} must be a number from {least} to {most}, but is {value!r}.")
    return config


def open_network(path: Path) -> Runtime:
    """Open the network; several threads may call it at once."""
    session = runtime.open_session(path)
    name = session.get_inputs()[0].name

    def run(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(session.run(None, {name: pixels})[0], np.float32)

    return run


def _open_checked(path: Path, rows_of: int) -> Runtime:
    """Open the network and run it once; its output is [1, N, 6] or [1, 5, N]."""
    try:
        run = open_network(path)
        rows = run(to_input(np.zeros((8, 8, 3), np.uint8)))
    except Exception as error:  # ONNX Runtime raises its own errors
        raise WeightsMismatch(
            f"{path.name} cannot be run ({type(error).__name__}). Export the detector again."
        ) from error
    if rows.ndim != 3 or rows.shape[0] != 1 or rows.shape[1 if rows_of == 5 else 2] != rows_of:
        expected = "[1, 5, N]" if rows_of == 5 else "[1, N, 6]"
        raise WeightsMismatch(f"{path.name} must return {expected}, but returns {list(rows.shape)}.")
    return run
