"""A pipeline in other processes: pickled by what it was built from."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from facemotion import EmotionClassifier, FaceDetector, Pipeline, images
from tests.support.models import tiny_detector


@pytest.mark.parametrize(
    "named",
    [
        lambda _: "yunet",
        lambda _: "yolov8n-face",
        lambda _: "yolo",
        lambda folder: str(tiny_detector.write(folder / "tiny")),
    ],
)
def test_a_detector_comes_back_as_it_was(named: Callable[[Path], str], tmp_path: Path, examples: Path) -> None:
    detector = FaceDetector.from_pretrained(named(tmp_path))
    detector.default_threshold = 0.55
    copy = pickle.loads(pickle.dumps(detector))
    assert (type(copy), copy.description, copy.default_threshold) == (type(detector), detector.description, 0.55)
    picture = images.load(examples / "grace_hopper.jpg")
    for ours, theirs in zip(detector.detect(picture), copy.detect(picture), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["emotionnet", "simplecnn"])
def test_a_classifier_comes_back_as_it_was(name: str, face: np.ndarray) -> None:
    classifier = EmotionClassifier.from_pretrained(name)
    copy = pickle.loads(pickle.dumps(classifier))
    assert (copy.description, copy.config) == (classifier.description, classifier.config)
    np.testing.assert_array_equal(copy.classify([face]), classifier.classify([face]))


@pytest.mark.slow
def test_a_pool_of_new_processes_takes_a_pipeline(pipeline: Pipeline, examples: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        analysis = pool.submit(pipeline.analyze, examples / "astronaut.png").result(timeout=120)
    ours = pipeline.analyze(examples / "astronaut.png")
    assert analysis.faces == ours.faces and analysis.models == ours.models
