"""Face detection and classification of seven facial expressions.

    from facemotion import Pipeline

    pipeline = Pipeline.from_pretrained()
    for face in pipeline.analyze("photo.jpg").faces:
        print(face.id, face.expression, face.confidence)

Importing this package reads no file, downloads nothing and loads no model; the names below are resolved on first use.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facemotion import images as images
    from facemotion.detectors import FaceDetector as FaceDetector
    from facemotion.errors import FacemotionError as FacemotionError
    from facemotion.errors import InputError as InputError
    from facemotion.errors import WeightsError as WeightsError
    from facemotion.expression.classifier import EmotionClassifier as EmotionClassifier
    from facemotion.faces import EMOTIONS as EMOTIONS
    from facemotion.faces import Analysis as Analysis
    from facemotion.faces import Box as Box
    from facemotion.faces import Face as Face
    from facemotion.output.draw import annotate as annotate
    from facemotion.pipeline import Pipeline as Pipeline
    from facemotion.tracking.live import LiveSession as LiveSession
    from facemotion.tracking.tracker import FaceTracker as FaceTracker

__version__ = "0.1.0"

# ONNX Runtime's Linux wheels send usage data and leave files in the home folder, unless this is set before the first
# import of onnxruntime, by facemotion.runtime, the training kit or ultralytics. A value set by the user stays.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_MODULES = {
    "EMOTIONS": "faces",
    "Analysis": "faces",
    "Box": "faces",
    "EmotionClassifier": "expression.classifier",
    "Face": "faces",
    "FaceDetector": "detectors",
    "FaceTracker": "tracking.tracker",
    "FacemotionError": "errors",
    "InputError": "errors",
    "LiveSession": "tracking.live",
    "Pipeline": "pipeline",
    "WeightsError": "errors",
    "annotate": "output.draw",
    "images": "",
}

__all__ = ["__version__", *_MODULES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'facemotion' has no attribute {name!r}")
    if not _MODULES[name]:
        return import_module(f"facemotion.{name}")
    return getattr(import_module(f"facemotion.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
