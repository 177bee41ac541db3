"""Which runtime serves the networks fastest, and what 8-bit numbers would cost in accuracy: how the runtime was chosen.

    python -m benchmarks.runtimes --data official --yunet face_detection_yunet_2023mar.onnx

Prints a table in Markdown. All take turns on the same input. `--data` is a
tree of pictures as `training` reads it: the 8-bit networks are calibrated on its train folder and judged, beside those
of 32 bits, on its validation folder. Without it their speed is measured on random pictures alone. `--yunet` is the
model zoo's file, which OpenCV runs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import pictures
from benchmarks.timing import as_sentence, machine
from facemotion import EmotionClassifier, FaceDetector, weights
from facemotion.detectors import ultralytics_compat
from facemotion.expression import crops, onnx_network
from facemotion.expression.classifier import WEIGHTS_FILE
from facemotion.runtime import open_session
from training.expression import onnx_export
from training.expression.data.dataset import load_split
from training.expression.evaluation import metrics
from training.expression.inference import torch_network

PACKAGES = ("torch", "onnxruntime", "openvino", "opencv-python-headless")
FACES, ROUNDS = (1, 8, 32), 15
CALIBRATION = 256
SIZES = ((320, 256), (640, 384), (1024, 1024))
Floats = NDArray[np.float32]
Run = Callable[[Floats], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a tree of pictures with train and validation")
    parser.add_argument("--yunet", type=Path, help="face_detection_yunet_2023mar.onnx of OpenCV's model zoo")
    options = parser.parse_args()
    print(f"Milliseconds, medians of {ROUNDS}, on {as_sentence(machine(PACKAGES))}.\n")
    for name in weights.embedded_with(WEIGHTS_FILE):
        with tempfile.TemporaryDirectory() as folder:
            print("\n".join(compared(EmotionClassifier.from_pretrained(name), Path(folder), options.data)), "\n")
    if options.yunet:
        print("\n".join(detectors(options.yunet)))


def compared(classifier: EmotionClassifier, folder: Path, data: Path | None) -> Iterator[str]:
    """The rows of a table for one network."""
    spec = onnx_network.spec(classifier.config["network"])
    runs = runtimes(classifier, folder, calibration(classifier, data))
    shape = (max(FACES), spec.input_channels, spec.input_size, spec.input_size)
    batch = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    times = [in_turn(runs, batch[:count]) for count in FACES]
    judged = accuracies(classifier, runs, data) if data else {}
    yield f"| {classifier.description} | {' | '.join(f'{count} faces' for count in FACES)} | accuracy |"
    yield "|---" * (2 + len(FACES)) + "|"
    for name in runs:
        cells = [f"{row[name]:.1f}" for row in times]
        yield f"| {name} | {' | '.join(cells)} | {judged.get(name, '')} |"


def runtimes(classifier: EmotionClassifier, folder: Path, calibrated_on: Floats) -> dict[str, Run]:
    """Each takes normalised pictures and returns probabilities or logits [N, 7]."""
    plain, small = folder / "model.onnx", folder / "int8.onnx"
    onnx_export.export(classifier, plain)
    quantise(plain, small, calibrated_on)
    eager = torch_network(classifier)
    last = torch_network(classifier).to(memory_format=torch.channels_last)
    return {
        "torch": by_torch(eager),
        "torch, channels_last": by_torch(last),
        "ONNX Runtime (as served)": classifier.network,
        "ONNX Runtime, int8": by_onnxruntime(small),
        "OpenVINO, f32": by_openvino(plain),
        "OpenVINO, int8": by_openvino(small),
        "OpenCV": by_opencv(plain),
    }


def by_torch(network: torch.nn.Module) -> Run:
    def run(images: Floats) -> Any:
        with torch.inference_mode():
            return network(torch.from_numpy(images)).numpy()

    return run


def by_onnxruntime(file: Path) -> Run:
    session = open_session(file)
    return lambda images: session.run(None, {"images": images})[0]


def by_openvino(file: Path) -> Run:
    ultralytics_compat.leave_out_openvino_telemetry()
    import openvino  # noqa: PLC0415  (of requirements-dev.txt)

    hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    network = openvino.Core().compile_model(str(file), "CPU", hints)
    return lambda images: network(images)[0]


def by_opencv(file: Path) -> Run:
    network = cv2.dnn.readNetFromONNX(str(file))

    def run(images: Floats) -> Any:
        network.setInput(images)
        return network.forward()

    return run


def quantise(plain: Path, small: Path, images: Floats) -> None:
    """Weights and activations of 8 bits, a scale for each channel."""
    from onnxruntime import quantization  # noqa: PLC0415
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches = iter([{"images": images[start : start + 16]} for start in range(0, len(images), 16)])

        def get_next(self) -> dict[str, Floats] | None:
            return next(self.batches, None)

    prepared = small.with_suffix(".prepared.onnx")
    quant_pre_process(plain, prepared)
    quantization.quantize_static(prepared, small, Reader(), per_channel=True)


def calibration(classifier: EmotionClassifier, data: Path | None) -> Floats:
    if data is None:
        return as_input(classifier, np.random.default_rng(0).integers(0, 256, (CALIBRATION, 48, 48), np.uint8))
    grey = load_split(data, "train").pictures
    return as_input(classifier, grey[:: max(1, len(grey) // CALIBRATION)][:CALIBRATION])


def as_input(classifier: EmotionClassifier, grey: NDArray[np.uint8]) -> Floats:
    spec, scale = onnx_network.spec(classifier.config["network"]), classifier.config["normalisation"]
    coloured = [np.repeat(face[:, :, None], 3, axis=2) for face in grey]
    return crops.to_input(coloured, spec.input_size, scale["mean"], scale["std"], spec.input_channels)


def accuracies(classifier: EmotionClassifier, runs: dict[str, Run], data: Path) -> dict[str, str]:
    """Of the networks of 32 and of 8 bits, on the validation pictures."""
    split = load_split(data, "validation")
    images = as_input(classifier, split.pictures)
    table = {}
    for name in ("ONNX Runtime (as served)", "ONNX Runtime, int8"):
        rows = np.concatenate([runs[name](images[start : start + 32]) for start in range(0, len(images), 32)])
        table[name] = f"{100 * metrics.accuracy(rows, split.labels):.2f} %"
    return table


def in_turn(runs: dict[str, Run], batch: Floats) -> dict[str, float]:
    """Median milliseconds of each, all in turn."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            run(batch)
            started = time.perf_counter()
            run(batch)
            times[name].append((time.perf_counter() - started) * 1e3)
    return {name: median(values) for name, values in times.items()}


def detectors(original: Path) -> Iterator[str]:
    """YuNet in OpenCV and as it is served, one pass."""
    served = FaceDetector.from_pretrained("yunet")
    yield "| YuNet, one pass | OpenCV | ONNX Runtime (as served) |"
    yield "|---|---|---|"
    for size in SIZES:
        picture = pictures.crowd(size, 5, size[0] / 10)
        by_hand = cv2.FaceDetectorYN.create(str(original), "", size, 0.6, 0.3, 5000)
        runs: dict[str, Run] = {
            "OpenCV": lambda _, by_hand=by_hand, picture=picture: by_hand.detect(picture),  # type: ignore[misc]
            "served": lambda _, picture=picture: served._run(picture, 0.6),  # type: ignore[misc]
        }
        times = in_turn(runs, np.zeros(0, np.float32))
        yield f"| {size[0]} x {size[1]} | {times['OpenCV']:.1f} | {times['served']:.1f} |"


if __name__ == "__main__":
    main()
