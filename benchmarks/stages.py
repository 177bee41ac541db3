"""The pipeline in this process: each stage and the whole, for frames, photos and a large group photo; and batches."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file

from benchmarks import pictures
from benchmarks.timing import repeat, summary
from facemotion import Pipeline, annotate, images
from facemotion.expression import onnx_network
from training.expression.served_graphs import randomised

ROOT = Path(__file__).resolve().parent.parent
FACES = (1, 5, 20)
SMALL_FACE, LARGE_FACE = 16, 150  # pixels wide, in a photo of 12 megapixels
BATCH = 32
BATCH_FACES = 2
Numbers = dict[str, Any]


def measure() -> Numbers:
    """All of it, in milliseconds."""
    pipeline, live = Pipeline.from_pretrained(), Pipeline.from_pretrained(detector="live")
    return {
        "models": pipeline.models | {"camera": live.models["detector"]},
        "import": imports(),
        "pictures": [
            *(picture(live, "frame", pictures.frame(faces), "fast", 30) for faces in FACES),
            *(picture(pipeline, "photo", pictures.small_photo(faces), "auto", 20) for faces in FACES),
        ],
        "large": [
            large(pipeline, LARGE_FACE, "auto", 7),
            large(pipeline, LARGE_FACE, "thorough", 3),
            large(pipeline, SMALL_FACE, "thorough", 3),
        ],
        "batch": batch(pipeline),
        "networks": [network(name, faces) for name in onnx_network.names() for faces in (1, 8)],
    }


def picture(pipeline: Pipeline, kind: str, pixels: images.Pixels, detail: str, count: int) -> Numbers:
    """A picture that is already decoded, as a camera's frame is; its stages one by one, and the whole."""
    found, data = pipeline.analyze(pixels, detail=detail), pictures.jpeg(pixels)
    located = pipeline._detect(pixels, detail, None)
    stages: dict[str, Callable[[], Any]] = {
        "whole": lambda: pipeline.analyze(pixels, detail=detail),
        "detect": lambda: pipeline.detector.detect(pixels, detail=detail),
        "classify": lambda: pipeline.classifier.classify(located.crops),
        "decode JPEG": lambda: images.load_picture(data),
        "draw": lambda: annotate(pixels, found),
        "encode JPEG": lambda: pictures.jpeg(pixels),
    }
    times = {name: summary(repeat(call, count)) for name, call in stages.items()}
    return {"kind": kind, "size": list(pixels.shape[1::-1]), "detail": detail, "faces": len(found.faces), "ms": times}


def large(pipeline: Pipeline, face_width: int, detail: str, count: int) -> Numbers:
    """12 megapixels and 30 faces, from the bytes of a JPEG to those of the annotated one, at full size."""
    data, faces = pictures.jpeg(pictures.large_photo(face_width)), []

    def whole() -> None:
        decoded = images.load_picture(data)
        analysis = pipeline.analyze(decoded, detail=detail)
        faces.append(len(analysis.faces))
        pictures.jpeg(annotate(decoded.pixels, analysis))

    times = summary(repeat(whole, count))
    return {"face_width": face_width, "bytes": len(data), "detail": detail, "faces": faces[-1], "ms": times}


def batch(pipeline: Pipeline) -> Numbers:
    """`BATCH` photos as JPEG, all at once and one by one, in turn."""
    photos = [pictures.jpeg(pictures.crowd(pictures.PHOTO, BATCH_FACES, 150, seed=index)) for index in range(BATCH)]
    at_once, one_by_one = [], []
    for _ in range(4):
        at_once += repeat(lambda: pipeline.analyze_batch(photos), 1)[-1:]
        one_by_one += repeat(lambda: [pipeline.analyze(photo) for photo in photos], 1)[-1:]
    times = {"at once": summary(at_once), "one by one": summary(one_by_one)}
    ratio = times["one by one"]["median"] / times["at once"]["median"]
    return {"photos": BATCH, "faces": BATCH_FACES, "ms": times, "ratio": round(ratio, 2)}


def network(name: str, faces: int) -> Numbers:
    """A network alone, with random weights, on which its speed does not depend."""
    spec = onnx_network.spec(name)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.safetensors"
        save_file(randomised(name, seed=0).state_dict(), file)
        served = onnx_network.Network(name, file)
    batch = np.random.default_rng(0).normal(size=(faces, spec.input_channels, spec.input_size, spec.input_size))
    crops = batch.astype(np.float32)
    return {"network": name, "faces": faces, "ms": summary(repeat(lambda: served(crops), 50))}


def imports() -> Numbers:
    """Seconds until the package, and then everything that the embedded models need, is imported; each time anew."""
    code = (
        "import time; started = time.perf_counter(); import facemotion; package = time.perf_counter() - started\n"
        "from facemotion import Pipeline; Pipeline.from_pretrained(); print(package, time.perf_counter() - started)"
    )
    command = [sys.executable, "-c", code]
    rows = [
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split() for _ in range(5)
    ]
    package, models = zip(*(map(float, row) for row in rows), strict=True)
    return {"package_s": summary(list(package)), "models_loaded_s": summary(list(models))}
