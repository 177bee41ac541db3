"""The YOLOv8n-face of npm's node-red-contrib-face-detection -> a copy for photos of every size, in float32.

    python -m training.detector.convert_yolov8_face yolov8n-face.onnx --out float
    python -m training.detector.quantize --folder float --data faces --out facemotion/assets/yolov8n-face

The file is yolov8n-face.onnx of the npm package @good-i-deer/node-red-contrib-face-detection (AGPL-3.0, made by
Ultralytics 8.0.175). Its graph takes 640 x 640 pixels only. Here its weights go into ultralytics' YOLOv8n, which is
exported anew for inputs of any size. Prints how far boxes and scores differ from the original's on the example photos.
The second command makes the embedded `yolov8n-face` from the copy.
"""

from __future__ import annotations

import argparse
import warnings
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
from facemotion.weights import sha256
from training.common.cli_errors import exit_on_error
from training.common.constants import ASSETS
from training.common.errors import DataError
from training.common.files import write_json
from training.detector.export import OPSET, OVERLAPPING, SUPPRESS, with_own_metadata

NAME = "yolov8n-face"
ORIGINAL_SHA256 = "52d50f2c689f935251b6e492f1934bfc9086d2853c2628667cbdb28ef8a76178"  # pragma: allowlist secret
SIDE = 640  # of the input that the original insists on
MAX_PX, MAX_SCORE = 0.05, 1e-4  # difference of a corner and of a score
SCORED = 0.1  # rows that are compared
PHOTOS = ("astronaut.png", "fr_obama.jpg", "grace_hopper.jpg", "group.jpg")
THRESHOLD = 0.4
ENLARGE = 3.0  # small photos; of 1, 1.5, 2 and 3 the best on photos of 224 pixels that the network was not trained on

Rows = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("original", type=Path, help="yolov8n-face.onnx")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    arguments = parser.parse_args()
    with exit_on_error():
        config = convert(arguments.original, arguments.out)
    print(f"{arguments.out}: {config['bytes']:,} bytes; {config['parity']}")


def convert(original: Path, out: Path) -> dict[str, Any]:
    """Writes model.onnx and config.json to `out` and returns the configuration.

    Raises:
        DataError: `original` is another file, or the copy differs from it too much.
    """
    if not original.is_file() or sha256(original) != ORIGINAL_SHA256:
        raise DataError(f"{original} is not the file with the SHA-256 {ORIGINAL_SHA256}")
    out.mkdir(parents=True, exist_ok=True)
    file = out / served.WEIGHTS_FILE
    file.write_bytes(exported(network(original)))
    parity = difference(original, file)
    if parity["pixels"] > MAX_PX or parity["score"] > MAX_SCORE:
        raise DataError(f"the copy differs from {original.name} by {parity}: it is not to be used")
    config = {
        "format": served.FORMAT,
        "network": NAME,
        "threshold": THRESHOLD,
        "suppress": SUPPRESS,
        "enlarge": ENLARGE,
        "sha256": sha256(file),
        "bytes": file.stat().st_size,
        "input": "float32 RGB 0..1 [1, 3, H, W], multiples of 32 from 128 on, padded with grey 114 right and below",
        "output": OVERLAPPING,
        "labels": ["face"],
        "original_sha256": ORIGINAL_SHA256,
        "parity": parity,
    }
    write_json(out / served.CONFIG_FILE, config)
    return config


def network(original: Path) -> Any:
    """Ultralytics' YOLOv8n with the weights of the original, whose batch normalisation is part of its convolutions."""
    import onnx  # noqa: PLC0415  (of requirements-train.txt)
    from onnx import numpy_helper  # noqa: PLC0415

    model = ultralytics_compat.import_ultralytics().YOLO("yolov8n.yaml", task="detect")
    from ultralytics.nn.tasks import DetectionModel  # noqa: PLC0415

    built = DetectionModel("yolov8n.yaml", nc=1, verbose=False).eval().fuse(verbose=False)
    stored = {t.name: numpy_helper.to_array(t).copy() for t in onnx.load(original).graph.initializer}
    state = {name: torch.from_numpy(stored[name]) for name in built.state_dict() if name in stored}
    missing, _ = built.load_state_dict(state, strict=False)
    if missing or len(state) != len(stored):
        raise DataError(f"{original.name} is no YOLOv8n: {len(missing)} weights are missing")
    built.args, built.task, built.names = model.model.args, "detect", {0: "face"}  # which the exporter asks for
    model.model = built
    return model


def exported(model: Any) -> bytes:
    """The network as ONNX with a dynamic input."""
    import onnx  # noqa: PLC0415

    with TemporaryDirectory() as scratch, ultralytics_compat.keep_threads(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's remarks on its own code
        model.model.pt_path = str(Path(scratch) / "model.pt")
        model.ckpt_path = model.model.pt_path
        made = model.export(
            format="onnx", dynamic=True, simplify=False, nms=False, opset=OPSET, imgsz=SIDE, device="cpu"
        )
        graph = onnx.load(made)
    return bytes(with_own_metadata(graph).SerializeToString(deterministic=True))


def difference(original: Path, file: Path) -> dict[str, float]:
    """The largest differences of the rows that score `SCORED`, in pixels and in scores, on the example photos."""
    first, second = served.open_network(original), served.open_network(file)
    worst = {"pixels": 0.0, "score": 0.0}
    for name in PHOTOS:
        photo = images.load(ASSETS / "examples" / name)
        scale = SIDE / max(photo.shape[:2])
        small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        square = np.full((SIDE, SIDE, 3), 114, np.uint8)
        square[: small.shape[0], : small.shape[1]] = small
        pixels = served.to_input(square)
        expected, rows = first(pixels)[0], second(pixels)[0]
        shown = expected[4] >= SCORED
        worst["pixels"] = max(worst["pixels"], float(np.abs(expected[:4, shown] - rows[:4, shown]).max()))
        worst["score"] = max(worst["score"], float(np.abs(expected[4] - rows[4]).max()))
    return worst


if __name__ == "__main__":
    main()
