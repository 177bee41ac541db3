"""Face detectors: picture in, boxes and scores out. One file per kind, chosen here by name."""

from __future__ import annotations

from facemotion import settings
from facemotion.detectors.base import FaceDetector as FaceDetector
from facemotion.errors import UnknownModel

__all__ = ["FaceDetector", "load"]


def load(name: str = "default") -> FaceDetector:
    """The detector of that name; see `FaceDetector.from_pretrained`."""
    if name == "default":
        name = settings.detector_name()
    if name == "yunet":
        from facemotion.detectors.yunet import YuNet  # noqa: PLC0415

        return YuNet.embedded()
    raise UnknownModel(f"There is no detector {name!r}.")
