"""Exports a run of `training.detector.train` to the folder that `facemotion` loads: model.onnx and config.json.

    python -m training.detector.export --run runs/faces --out runs/faces/export

The weights are the exponential mean after the last epoch: selecting an epoch on the evaluation photos would
flatter it. The file is compared with the checkpoint on held-out photos, in ONNX Runtime and in OpenCV. Where the head
is not end-to-end, as YOLOv8's, config.json tells the overlap above which only the best box stays.
"""

from __future__ import annotations

import argparse
import json
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from facemotion import images
from facemotion.detectors import onnx_yolo as served
from facemotion.detectors import ultralytics_compat
from facemotion.detectors.tiling import AUTO_SIDE
from facemotion.weights import sha256
from training.common.cli_errors import exit_on_error
from training.common.errors import DataError
from training.common.files import replace, update_checksums, write_json

END_TO_END = "float32 [1, N, 6]: x0 y0 x1 y1 score class, in pixels of the input"
OVERLAPPING = "float32 [1, 5, N]: center-x center-y width height score, in pixels of the input, overlapping"
SUPPRESS = 0.5  # ultralytics' 0.7 leaves two boxes on some faces
OPSET = 17  # runtimes of 2022 already read it
MAX_BYTES = 13_000_000
COMPARED = 8  # held-out photos
SCORED = 0.1  # rows that are compared; those below are no faces, and come in any order
MAX_PX, MAX_SCORE = 0.05, 1e-3  # difference of a corner and of a score between the checkpoint and the file

Rows = NDArray[np.float32]


def main(given: Sequence[str] | None = None) -> None:
    arguments = parse_arguments(given)
    config = export(arguments.run, arguments.out, arguments.threshold)
    print(json.dumps({name: config[name] for name in ("network", "sha256", "bytes", "threshold", "parity")}, indent=2))


def parse_arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.detector.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--run", type=Path, required=True, help="a run directory of training.detector.train")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--threshold", type=float, default=served.OnnxYolo.default_threshold, help="(%(default)s)")
    return parser.parse_args(given)


def export(run: Path, out: Path, threshold: float) -> dict[str, Any]:
    """Writes the folder and returns its configuration.

    Raises:
        DataError: there is no run, or the file is too large or differs from the checkpoint.
    """
    if not 0 < threshold < 1:
        raise DataError(f"--threshold must be between 0 and 1, but is {threshold}")
    try:
        recipe = json.loads((run / "config.json").read_text(encoding="utf-8"))
        results = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{run} is no finished run of training.detector.train: {error}") from error
    weights = run / "weights" / "last.pt"
    out.mkdir(parents=True, exist_ok=True)
    file = out / served.WEIGHTS_FILE
    network = write(weights, file)
    parity = compare(weights, file, pictures(run))
    end_to_end = is_end_to_end(weights)
    config = {
        "format": served.FORMAT,
        "network": network,
        "threshold": float(threshold),
        "sha256": sha256(file),
        "bytes": file.stat().st_size,
        "input": "float32 RGB 0..1 [1, 3, H, W], multiples of 32 from 128 on, padded with grey 114 right and below",
        "output": END_TO_END if end_to_end else OVERLAPPING,
        **({} if end_to_end else {"suppress": SUPPRESS}),
        "labels": ["face"],
        "parity": parity,
        "held_out": results["last"],
        "recipe": {name: value for name, value in recipe.items() if name not in ("data", "sources", "sessions")},
        "data": recipe["data"],
        "sources": recipe["sources"],
        "trained_with": {name: recipe["sessions"][-1].get(name) for name in ("commit", "torch", "ultralytics")},
    }
    write_json(out / served.CONFIG_FILE, config)
    update_checksums(out.parent)
    return config


def write(weights: Path, file: Path) -> str:
    """Exports a checkpoint to `file` and returns the network's name.

    Raises:
        DataError: the file is larger than `MAX_BYTES`.
    """
    import onnx  # noqa: PLC0415  (only training needs it)

    with TemporaryDirectory() as scratch:  # ultralytics writes beside the checkpoint
        copy = shutil.copyfile(weights, Path(scratch) / "model.pt")
        model = ultralytics_compat.import_ultralytics().YOLO(str(copy), task="detect")
        name = Path(str(model.model.yaml.get("yaml_file", "YOLO"))).stem
        with ultralytics_compat.keep_threads(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's remarks on its own code
            made = model.export(
                format="onnx", dynamic=True, simplify=False, nms=False, opset=OPSET, imgsz=AUTO_SIDE, device="cpu"
            )
        graph = onnx.load(made)
    content = with_own_metadata(graph).SerializeToString()
    if len(content) > MAX_BYTES:
        raise DataError(f"the file has {len(content):,} bytes, more than {MAX_BYTES:,}: start from a smaller network")
    replace(file, lambda opened: opened.write(content))
    return name


def with_own_metadata(graph: Any) -> Any:
    """The same ONNX model with its format and licence as its only metadata."""
    del graph.metadata_props[:]  # ultralytics' tell the folder that the data lay in
    graph.metadata_props.add(key="format", value=served.FORMAT)
    graph.metadata_props.add(key="license", value="AGPL-3.0")
    return graph


def pictures(run: Path) -> list[Path]:
    """Some of the run's held-out photos."""
    return sorted((run / "data" / "images" / "val").iterdir())[:COMPARED]


def compare(weights: Path, file: Path, photos: Sequence[Path]) -> dict[str, Any]:
    """The largest differences between the file and the checkpoint, by runtime: corner in pixels, and score.

    Raises:
        DataError: further than `MAX_PX` and `MAX_SCORE`.
    """
    network = ultralytics_compat.import_ultralytics().YOLO(str(weights), task="detect").model.float().eval()
    network.end2end = end_to_end = is_end_to_end(weights)
    runtimes = {"onnxruntime": served.open_network(file), "opencv": open_opencv(file)}
    table: dict[str, Any] = {"photos": len(photos)}
    for name in runtimes:
        table[name] = {"pixels": 0.0, "score": 0.0}
    for photo in photos:
        pixels = served.to_input(images.load(photo)[:AUTO_SIDE, :AUTO_SIDE])
        with torch.inference_mode():
            expected = as_rows(network(torch.from_numpy(pixels))[0][0].numpy(), end_to_end)
        for name, runtime in runtimes.items():
            for kind, value in difference(expected, as_rows(runtime(pixels)[0], end_to_end)).items():
                table[name][kind] = max(table[name][kind], value)
    worst = {kind: max(table[name][kind] for name in runtimes) for kind in ("pixels", "score")}
    if worst["pixels"] > MAX_PX or worst["score"] > MAX_SCORE:
        raise DataError(f"the file differs from the checkpoint by {worst}: it is not to be used")
    return table


def is_end_to_end(weights: Path) -> bool:
    """Whether the checkpoint's head needs no suppression of overlapping boxes."""
    from training.detector import trainer  # noqa: PLC0415  (takes seconds)

    return trainer.is_end_to_end(weights)


def as_rows(output: Rows, end_to_end: bool) -> Rows:
    """What a network returns for one picture, as rows x0 y0 x1 y1 score ...: [N, 6] as it is, [5, N] transposed."""
    if end_to_end:
        return output
    centers, sizes = output[:2].T, output[2:4].T
    return np.concatenate([centers - sizes / 2, centers + sizes / 2, output[4:].T], axis=1)


def open_opencv(file: Path) -> served.Runtime:
    """For those who run the published file by OpenCV alone."""
    network = cv2.dnn.readNetFromONNX(str(file))

    def run(pixels: Rows) -> Rows:
        network.setInput(pixels)
        return np.array(network.forward(), np.float32)

    return run


def difference(expected: Rows, rows: Rows) -> dict[str, float]:
    """Of the rows that score `SCORED`, each held against the one nearest to it, in either direction: the largest
    difference of a coordinate, and of a score. Infinite where only one side has any."""
    worst = {"pixels": 0.0, "score": 0.0}
    for ours, theirs in ((expected, rows), (rows, expected)):
        for row in ours[ours[:, 4] >= SCORED]:
            if not len(theirs):
                return {"pixels": float("inf"), "score": float("inf")}
            apart = np.abs(theirs[:, :4] - row[:4]).max(axis=1)
            nearest = int(apart.argmin())
            worst["pixels"] = max(worst["pixels"], float(apart[nearest]))
            worst["score"] = max(worst["score"], float(abs(theirs[nearest, 4] - row[4])))
    return worst


if __name__ == "__main__":
    with exit_on_error():
        main()
