"""Ultralytics checkpoints that detect faces: .pt, .onnx or OpenVINO, from the Hub or a local path."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np

from facemotion import settings, weights
from facemotion.detectors import ultralytics_compat
from facemotion.detectors.base import FaceDetector, Image
from facemotion.detectors.boxes import Boxes, Scores
from facemotion.errors import UnknownModel, WeightsMismatch

HUB_FILE = "model.pt"  # as in arnabdhar/YOLOv8-Face-Detection
_STRIDE = 32  # pixels; input sides are multiples of it
_GREY = (114, 114, 114)  # padding of ultralytics, as in training
_NMS_IOU = 0.5  # ultralytics' 0.7 leaves two boxes on some faces


class Yolo(FaceDetector):
    """A YOLO checkpoint from a local path, run by ultralytics.

    Raises:
        UnknownModel: nothing is there, or the runtime that it needs is not installed.
        WeightsMismatch: it cannot be read as a YOLO detector, or knows no class "face".
    """

    default_threshold = 0.4

    def __init__(self, path: Path, description: str, notice: str | None = None) -> None:
        super().__init__(description, notice)
        self._path = path
        self._lock = Lock()  # a predictor stores its current image
        self._model, self._fixed_size = self._open(path)
        self._faces = _face_classes(path.name, self._model.names)
        if self._fixed_size is not None:
            self.fast_side = self.tile_side = min(self._fixed_size)  # a smaller image takes as long

    def __reduce__(self) -> tuple[Any, ...]:
        return self._rebuilt_from(self._path)

    @classmethod
    def from_hub(cls, reference: settings.Reference) -> Yolo:
        """Load `model.pt` of a repository.

        Raises:
            WeightsError: it cannot be had, or is not what it should be.
        """
        path = weights.resolve(reference, HUB_FILE)
        full = weights.pinned(reference, path)
        if full != reference:
            _warn_of_pickle(f"{HUB_FILE} of {reference.repo}", f"pin it as {full}")
        return cls(path, f"{full.repo}@{(full.revision or 'main')[:8]} (Hub, {weights.sha256(path)[:8]})")

    @classmethod
    def from_path(cls, path: Path) -> Yolo:
        """Load a checkpoint from a local path."""
        if not path.exists():
            raise UnknownModel(f"There is no file or folder {path.name!r} to load a detector from.")
        if path.is_dir():
            return cls(path, f"{path.name} (local)")
        if path.suffix == ".pt":
            _warn_of_pickle(path.name, f"compare its SHA-256, {weights.sha256(path)}")
        return cls(path, f"{path.name} (local, {weights.sha256(path)[:8]})")

    def _open(self, path: Path) -> tuple[Any, tuple[int, int] | None]:
        """Load the model and run it once; returns it with the (height, width) of its input where that is fixed."""
        if path.is_dir() and find_spec("openvino") is None:
            raise UnknownModel(f"{path.name} is an OpenVINO export. Install the package openvino, or name a .pt file.")
        try:
            with self._lock, ultralytics_compat.keep_threads():
                model = ultralytics_compat.import_ultralytics().YOLO(str(path), task="detect")
                self._predict(model, np.zeros((_STRIDE * 2, _STRIDE * 2, 3), np.uint8), 0.9, None)
        except Exception as error:  # torch, pickle and runtimes raise anything for an untrusted file
            raise WeightsMismatch(
                f"{path.name} cannot be read as an Ultralytics detector ({type(error).__name__}). Name a .pt or .onnx "
                "file or an OpenVINO folder that ultralytics has exported."
            ) from error
        backend = model.predictor.model
        fixed = path.suffix != ".pt" and not getattr(backend, "dynamic", False)
        return model, tuple(backend.imgsz) if fixed else None

    def _run(self, image: Image, threshold: float) -> tuple[Boxes, Scores]:
        with self._lock, ultralytics_compat.keep_threads():
            result = self._predict(self._model, self._padded(image), threshold, self._faces)
        found = result.boxes.cpu().numpy()
        return np.asarray(found.xyxy, np.float32).reshape(-1, 4), np.asarray(found.conf, np.float32).reshape(-1)

    def _predict(self, model: Any, image: Image, threshold: float, classes: list[int] | None) -> Any:
        return model.predict(
            cv2.cvtColor(image, cv2.COLOR_RGB2BGR),
            imgsz=image.shape[:2],
            conf=threshold,
            iou=_NMS_IOU,
            classes=classes,
            max_det=settings.MAX_FACES,
            verbose=False,
        )[0]

    def _padded(self, image: Image) -> Image:
        """The image padded with grey to a multiple of the stride, so that ultralytics does not enlarge it.

        Enlarged to 640 pixels, a small image that is all face was missed in half of 483 cases; at its own size, in 3.
        """
        height, width = image.shape[:2]
        rows, columns = self._fixed_size or (-(-height // _STRIDE) * _STRIDE, -(-width // _STRIDE) * _STRIDE)
        below, right = max(0, rows - height), max(0, columns - width)
        padded = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_CONSTANT, value=_GREY)
        return padded.astype(np.uint8, copy=False)


def _face_classes(name: str, names: dict[int, str]) -> list[int]:
    """Class numbers of faces: those with "face" in their name, or the only class."""
    faces = [number for number, label in names.items() if "face" in label.lower()]
    if len(names) == 1 or faces:
        return faces or list(names)
    labels = ", ".join(list(names.values())[:5])
    raise WeightsMismatch(f"{name} finds {len(names)} kinds of things ({labels}, ...), but no class called face.")


def _warn_of_pickle(what: str, advice: str) -> None:
    warnings.warn(f"{what} is a pickle, which can run code as it is loaded: {advice}.", stacklevel=4)
