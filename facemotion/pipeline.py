"""Pipeline: detect faces, crop, classify, and return an `Analysis`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from facemotion import deadline, images, logs, runtime, upright
from facemotion.detectors import FaceDetector
from facemotion.errors import BadOption, FacemotionError, ModelFailure, TookTooLong
from facemotion.expression import quality
from facemotion.expression.classifier import EmotionClassifier
from facemotion.faces import Analysis, Box, Face

_In = TypeVar("_In")
_Out = TypeVar("_Out")

BATCH_PICTURES = 16  # images per joint batch of faces; bounds the crops in memory


@dataclass
class _Detected:
    """An image whose faces are detected, but not yet classified."""

    width: int
    height: int
    source_size: tuple[int, int]
    boxes: list[Box]
    scores: list[float]
    crops: list[NDArray[np.uint8]]
    quality: list[tuple[str, ...]]
    timings_ms: dict[str, float] = field(default_factory=dict)


class Pipeline:
    """A face detector and an expression classifier; several threads may call it.

    Pickling stores what it was built from, so a process pool takes `pipeline.analyze` as it is.
    """

    def __init__(self, detector: FaceDetector, classifier: EmotionClassifier) -> None:
        self.detector = detector
        self.classifier = classifier

    @classmethod
    def from_pretrained(cls, detector: str = "default", classifier: str = "default") -> Pipeline:
        """Load both models, each by name, Hub reference or local path; see `FaceDetector` and `EmotionClassifier`.

        Raises:
            WeightsError: a model that was named cannot be had.
        """
        return cls(FaceDetector.from_pretrained(detector), EmotionClassifier.from_pretrained(classifier))

    @property
    def models(self) -> dict[str, str]:
        """Descriptions of the weights, under the keys "detector" and "classifier"."""
        return {"detector": self.detector.description, "classifier": self.classifier.description}

    @property
    def notices(self) -> tuple[str, ...]:
        """Notices for the user about the models, such as a fallback to other weights."""
        return tuple(notice for notice in (self.detector.notice, self.classifier.notice) if notice)

    def analyze(
        self, source: images.Source | images.Picture, *, detail: str = "auto", threshold: float | None = None
    ) -> Analysis:
        """Detect and classify the faces of one image.

        Args:
            source: path, bytes, PIL image, RGB uint8 array [H, W, 3], or what `images.load_picture` returned.
            detail: one of `settings.DETAILS`.
            threshold: smallest detection score of a face, 0..1; None takes the detector's own.

        Returns:
            Faces with ids from 1, the largest first; boxes in pixels of the image that `images.load` returns.

        Raises:
            InputError: the image cannot be read, or an option is outside its range.
            ModelFailure: a model raised, or memory ran out.
            TookTooLong: a limit set by `deadline.within` has passed.
        """
        found = self._detect(source, detail, threshold)
        return self._classify([found])[0]

    def analyze_batch(
        self,
        sources: Sequence[images.Source],
        *,
        detail: str = "auto",
        threshold: float | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Analysis]:
        """Analyze many images: detection in parallel, classification in joint batches.

        Args:
            sources: as for `analyze`.
            detail: as for `analyze`.
            threshold: as for `analyze`.
            progress: called with (done, all) after each image has been searched for faces.

        Returns:
            One analysis an image, in order. One that failed has no faces, and its `error` says why.

        Raises:
            BadOption: `sources` is no list of images; or an option is outside its range, and there is an image.
        """
        _check_sources(sources)
        analyses: list[Analysis] = []
        for start in range(0, len(sources), BATCH_PICTURES):
            chunk: list[_Detected | Analysis] = []
            for found in _map_parallel(
                lambda source: self._detect_or_error(source, detail, threshold), sources[start : start + BATCH_PICTURES]
            ):
                chunk.append(found)
                if progress is not None:
                    progress(start + len(chunk), len(sources))
            read = iter(self._classify_or_error([found for found in chunk if isinstance(found, _Detected)]))
            analyses += [next(read) if isinstance(found, _Detected) else found for found in chunk]
        return analyses

    def _detect_or_error(self, source: images.Source, detail: str, threshold: float | None) -> _Detected | Analysis:
        self.detector.check_options(detail, threshold)  # an error of the caller, not of this image
        try:
            return self._detect(source, detail, threshold)
        except FacemotionError as error:
            logs.log_failure(error)  # it is not raised further
            return Analysis(0, 0, (0, 0), models=self.models, error=(error.code, error.message))

    def _detect(self, source: images.Source | images.Picture, detail: str, threshold: float | None) -> _Detected:
        deadline.check()
        picture = source if isinstance(source, images.Picture) else images.load_picture(source)
        image, started = picture.pixels, time.perf_counter()
        with _model_failures("face detector"):
            boxes_array, scores = self.detector.detect(image, detail=detail, threshold=threshold)
        boxes = [Box(*map(float, row)) for row in boxes_array]
        order = sorted(range(len(boxes)), key=lambda index: -boxes[index].area)
        boxes = [boxes[index] for index in order]
        with _model_failures("cutting out of the faces"):
            cut = [upright.square(image, box, detail) for box in boxes]
            reasons = [quality.assess(image, box, crop) for box, crop in zip(boxes, cut, strict=True)]
        timings = {"decode": picture.decode_ms, "detect": (time.perf_counter() - started) * 1e3}
        height, width = image.shape[:2]
        confidences = [min(1.0, float(scores[index])) for index in order]
        return _Detected(width, height, picture.source_size, boxes, confidences, cut, reasons, timings)

    def _classify_or_error(self, found: list[_Detected]) -> list[Analysis]:
        """Classify all at once; if that fails, each image alone, so that a failure stays with its image."""
        try:
            return self._classify(found)
        except (ModelFailure, TookTooLong):
            return [self._classify_alone(picture) for picture in found]

    def _classify_alone(self, found: _Detected) -> Analysis:
        try:
            return self._classify([found])[0]
        except (ModelFailure, TookTooLong) as error:
            logs.log_failure(error)
            size, reason = (found.width, found.height), (error.code, error.message)
            return Analysis(*size, found.source_size, models=self.models, timings_ms=found.timings_ms, error=reason)

    def _classify(self, found: list[_Detected]) -> list[Analysis]:
        started = time.perf_counter()
        with _model_failures("expression model"):
            probabilities = self.classifier.classify([crop for picture in found for crop in picture.crops])
        share_ms = (time.perf_counter() - started) * 1e3 / max(1, len(found))
        rows = iter(probabilities)
        return [self._analysis(picture, rows, share_ms) for picture in found]

    def _analysis(self, found: _Detected, rows: Iterator[NDArray[np.float32]], classify_ms: float) -> Analysis:
        faces = []
        for index, (box, score, reasons) in enumerate(zip(found.boxes, found.scores, found.quality, strict=True)):
            row = next(rows)
            uncertain = self.classifier.is_uncertain(row)
            faces.append(Face(index + 1, box, score, tuple(map(float, row)), uncertain, reasons))
        timings = found.timings_ms | {"classify": classify_ms}
        timings["total"] = sum(timings.values())
        size = (found.width, found.height)
        return Analysis(*size, found.source_size, tuple(faces), models=self.models, timings_ms=timings)


def _check_sources(sources: Any) -> None:
    """Check for a list of images; a single image is itself a sequence, of letters, bytes or rows."""
    pictures = isinstance(sources, Sequence) and not isinstance(sources, (str, bytes, bytearray, memoryview))
    if not pictures and not (isinstance(sources, np.ndarray) and sources.ndim == 4):
        raise BadOption(
            f"sources must be a list of pictures, but is a single {type(sources).__name__}. Put it in a list, or call "
            "analyze for one picture."
        )


def _map_parallel(call: Callable[[_In], _Out], items: Sequence[_In]) -> Iterator[_Out]:
    """Call a function for each item on a thread per processor core, in order.

    Decoders, OpenCV and ONNX Runtime release the lock meanwhile. The threads inherit the caller's context, and with it
    its deadline.
    """
    with ThreadPoolExecutor(runtime.cores()) as pool:
        futures = [pool.submit(copy_context().run, call, item) for item in items]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


@contextmanager
def _model_failures(what: str) -> Iterator[None]:
    """Convert exceptions of a model into ModelFailure."""
    try:
        yield
    except FacemotionError:
        raise
    except Exception as error:
        raise ModelFailure(f"The {what} failed on this picture. Try again, or with a smaller picture.") from error
