"""Face detectors: picture in, boxes and scores out. One file per kind, chosen here by name."""

from __future__ import annotations

from pathlib import Path

from facemotion import settings
from facemotion.detectors.base import FaceDetector as FaceDetector
from facemotion.errors import UnknownModel, WeightsError

__all__ = ["FaceDetector", "load"]

ALIASES = {"yolo": "arnabdhar/YOLOv8-Face-Detection"}


def load(name: str = "default") -> FaceDetector:
    """The detector of that name; see `FaceDetector.from_pretrained`.

    Only what "default" stands for may be replaced by the embedded detector when it cannot be had.
    """
    if name != "default":
        return _named(name)
    wanted = settings.detector_name()
    try:
        return _named(wanted)
    except WeightsError as error:
        if wanted == "yunet":
            raise
        from facemotion.detectors.yunet import YuNet  # noqa: PLC0415

        return YuNet.embedded(f"The embedded YuNet serves, because {wanted} cannot be had. {error.message}")


def _named(name: str) -> FaceDetector:
    """Each kind is imported only when it is chosen: ultralytics takes seconds."""
    if name == "yunet":
        from facemotion.detectors.yunet import YuNet  # noqa: PLC0415

        return YuNet.embedded()
    from facemotion.detectors.yolo import Yolo  # noqa: PLC0415

    if name in ALIASES or not _is_path(name):
        return Yolo.from_hub(_reference(ALIASES.get(name, name)))
    return Yolo.from_path(Path(name))


def _is_path(name: str) -> bool:
    """Whether a file or folder is meant: one that exists, or a name that only a file would have."""
    return bool(name) and (Path(name).exists() or Path(name).suffix in (".pt", ".onnx"))


def _reference(name: str) -> settings.Reference:
    try:
        return settings.Reference.parse(name)
    except UnknownModel:
        raise UnknownModel(
            f"No detector is called {name!r}. Choose yunet, yolo, owner/name[@revision[#sha256]] on the Hub, or the "
            "path of a .pt or .onnx file or an OpenVINO folder."
        ) from None
