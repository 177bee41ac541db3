"""Face detectors: an image in, boxes and scores out; one file per kind."""

from __future__ import annotations

from pathlib import Path

from facemotion import settings
from facemotion.detectors.base import FaceDetector as FaceDetector
from facemotion.errors import UnknownModel, WeightsError

__all__ = ["FaceDetector", "load"]

EMBEDDED_YOLO = ("yolo", "yolov8n-face")  # whose doubtful boxes YuNet checks
CHECKPOINTS = ("arnabdhar/YOLOv8-Face-Detection",)  # repositories that are known to hold a checkpoint


def load(name: str = "default") -> FaceDetector:
    """Load a detector by name; see `FaceDetector.from_pretrained`.

    Only "default" and "live" fall back to the embedded YuNet when their model cannot be loaded.
    """
    if name not in ("default", "live"):
        return _named(name)
    wanted = settings.detector_name() if name == "default" else settings.live_detector_name()
    try:
        return _named(wanted)
    except WeightsError as error:
        if wanted == "yunet":
            raise
        from facemotion.detectors.yunet import YuNet  # noqa: PLC0415

        return YuNet.embedded(f"The embedded YuNet serves, because {wanted} cannot be had. {error.message}")


def _named(name: str) -> FaceDetector:
    """Load a detector; its kind is imported only then, since ultralytics takes seconds."""
    if name == "yunet":
        from facemotion.detectors.yunet import YuNet  # noqa: PLC0415

        return YuNet.embedded()
    if name in EMBEDDED_YOLO:
        from facemotion.detectors.onnx_yolo import OnnxYolo  # noqa: PLC0415

        return _checked_by_yunet(OnnxYolo.embedded(name))
    return _from_path(Path(name)) if _is_path(name) else _from_hub(name)


def _checked_by_yunet(detector: FaceDetector) -> FaceDetector:
    from facemotion.detectors.cascade import Cascade  # noqa: PLC0415
    from facemotion.detectors.yunet import YuNet  # noqa: PLC0415

    return Cascade(detector, YuNet.embedded())


def _from_hub(name: str) -> FaceDetector:
    """Load an export of this project by its config.json, else a checkpoint.

    Repositories in `CHECKPOINTS` are not asked for a config.json.
    """
    reference = _reference(name)
    if reference.repo not in CHECKPOINTS:
        from facemotion.detectors.onnx_yolo import OnnxYolo  # noqa: PLC0415

        if (ours := OnnxYolo.from_hub(reference)) is not None:
            return ours
    from facemotion.detectors.checkpoint import Yolo  # noqa: PLC0415

    return Yolo.from_hub(reference)


def _from_path(path: Path) -> FaceDetector:
    from facemotion.detectors import onnx_yolo  # noqa: PLC0415

    if path.is_dir() and onnx_yolo.has_our_format(path / onnx_yolo.CONFIG_FILE):
        return onnx_yolo.OnnxYolo.from_path(path)
    from facemotion.detectors.checkpoint import Yolo  # noqa: PLC0415

    return Yolo.from_path(path)


def _is_path(name: str) -> bool:
    """Whether the name is a file or folder: it exists, or has the suffix of a model file."""
    return bool(name) and (Path(name).exists() or Path(name).suffix in (".pt", ".onnx"))


def _reference(name: str) -> settings.Reference:
    try:
        return settings.Reference.parse(name)
    except UnknownModel:
        raise UnknownModel(
            f"No detector is called {name!r}. Choose yolo, yolov8n-face, yunet, owner/name[@revision[#sha256]] on the "
            "Hub, or the path of a .pt or .onnx file or an OpenVINO folder."
        ) from None
