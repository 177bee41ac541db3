"""One program that finds faces and reads their expressions, measured in an environment of its own.

    python benchmarks/contender.py facemotion|fer|deepface|pair [FILES]     # then JSON, a line each way; see peers.py

`facemotion` is the project on the path, `fer` the package of that name with its own detector, `deepface` likewise,
`pair` OpenCV's YuNet with the mini-XCEPTION that comes with fer, in the form of TensorFlow Lite that fer prefers. For
each line {"picture": PATH, "count": N} on standard input it prints {"ms": [...], "faces": N}; the picture is decoded
before, and nothing is drawn. For {"files": [PATH, ...]} it reads and analyses each once, and prints {"seconds": S,
"processor_s": S, "faces": N}.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

Analyze = Callable[[Any], int]
"""A picture as OpenCV reads it, BGR uint8 [H, W, 3] -> how many faces were found and read."""

WARM_UP = 2
CAMERA_WIDTH = 640  # pixels


def facemotion() -> Analyze:
    from facemotion import Pipeline, settings  # noqa: PLC0415

    photos = Pipeline.from_pretrained()  # as the page has them; commits of before had one detector for all
    frames = Pipeline.from_pretrained(detector="live") if hasattr(settings, "LIVE_DETECTOR") else photos

    def analyze(picture: Any) -> int:
        pipeline, detail = (frames, "fast") if picture.shape[1] <= CAMERA_WIDTH else (photos, "auto")
        return len(pipeline.analyze(np.ascontiguousarray(picture[:, :, ::-1]), detail=detail).faces)

    return analyze


def fer() -> Analyze:
    from fer.fer import FER  # noqa: PLC0415

    detector = FER()
    return lambda picture: len(detector.detect_emotions(picture))


def deepface() -> Analyze:
    """With its defaults, but weights drawn by chance: its own come from a code host at the first call."""
    os.environ["DEEPFACE_BACKEND_ENGINE"] = "tensorflow"
    from deepface import DeepFace  # noqa: PLC0415
    from deepface.commons import weight_utils  # noqa: PLC0415

    weight_utils.download_weights_if_necessary = lambda **given: ""
    weight_utils.load_model_weights = lambda model, weight_file: model

    def analyze(picture: Any) -> int:
        found = DeepFace.analyze(picture, actions=["emotion"], enforce_detection=False, silent=True)
        return sum(face["face_confidence"] > 0 for face in found)  # without a face it takes the whole picture

    return analyze


def pair(yunet: str) -> Analyze:
    """As a person would put the two together by hand: one pass of the whole picture, then each face in grey."""
    import tensorflow  # noqa: PLC0415

    folder = Path(str(find_spec("fer").origin)).parent / "data"  # type: ignore[union-attr]
    network = tensorflow.lite.Interpreter(str(folder / "emotion_model_quantized.tflite"))
    network.allocate_tensors()
    (entry,), (result,) = network.get_input_details(), network.get_output_details()
    detector = cv2.FaceDetectorYN.create(yunet, "", (320, 320), 0.6, 0.3, 5000)

    def analyze(picture: Any) -> int:
        scale = min(1.0, 640 / max(picture.shape[:2]))
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        detector.setInputSize((small.shape[1], small.shape[0]))
        _, rows = detector.detect(small)
        boxes = [] if rows is None else rows[:, :4] / scale
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        for x, y, width, height in boxes:
            face = grey[max(0, int(y)) : int(y + height), max(0, int(x)) : int(x + width)]
            face = cv2.resize(face, tuple(entry["shape"][1:3])).astype(np.float32) / 127.5 - 1
            network.set_tensor(entry["index"], face[None, ..., None].astype(entry["dtype"]))
            network.invoke()
            network.get_tensor(result["index"])
        return len(boxes)

    return analyze


def answer(analyze: Analyze, wish: dict[str, Any]) -> dict[str, Any]:
    if "files" in wish:
        return answer_files(analyze, wish["files"])
    picture = cv2.imread(wish["picture"])
    faces = [analyze(picture) for _ in range(WARM_UP)]
    times = []
    for _ in range(wish["count"]):
        started = time.perf_counter()
        faces.append(analyze(picture))
        times.append((time.perf_counter() - started) * 1e3)
    return {"ms": times, "faces": faces[-1]}


def answer_files(analyze: Analyze, files: list[str]) -> dict[str, Any]:
    for file in files[:WARM_UP]:
        analyze(cv2.imread(file))
    started, processor = time.perf_counter(), time.process_time()
    faces = sum(analyze(cv2.imread(file)) for file in files)
    return {"seconds": time.perf_counter() - started, "processor_s": time.process_time() - processor, "faces": faces}


def main() -> None:
    output, sys.stdout = sys.stdout, sys.stderr  # libraries print
    makers: dict[str, Callable[..., Analyze]] = {
        "facemotion": facemotion,
        "fer": fer,
        "deepface": deepface,
        "pair": pair,
    }
    analyze = makers[sys.argv[1]](*sys.argv[2:])
    print(json.dumps({"ready": True}), file=output, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(analyze, json.loads(line))), file=output, flush=True)


if __name__ == "__main__":
    main()
