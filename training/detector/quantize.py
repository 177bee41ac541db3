"""An exported detector in integers: its convolutions multiply 8-bit activations by 7-bit weights.

    python -m training.detector.quantize --folder runs/faces/export --data faces --out runs/faces/quantized

Weights of 7 bits, one scale per output channel: older processors add products of 8 by 8 bits in 16-bit registers, which
overflow (ONNX Runtime, "Quantize ONNX models", reduce_range). The ranges of the activations come from training photos,
without the rarest values. What turns the last convolutions into boxes stays float32: a box needs more than 8 bits.
Judge the result with training.detector.evaluate before it is used: quantisation is not exact.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facemotion import images
from facemotion.detectors import onnx_yolo as served
from facemotion.detectors.tiling import AUTO_SIDE, CLOSE_UP_SIDE, resize
from facemotion.weights import sha256
from training.common.cli_errors import exit_on_error
from training.common.errors import DataError
from training.common.files import replace, update_checksums, write_json
from training.detector.data import dataset
from training.detector.export import with_own_metadata

PHOTOS = 96  # for calibration
AT_ONCE = 8  # photos whose activations are kept in memory, 250 MB each
PERCENTILE = 99.995  # of the activations of a layer that its range covers
QUANTIZED = ("Conv", "Concat", "Add", "MaxPool", "Resize")  # the rest computes in float32


def main() -> None:
    arguments = parse_arguments()
    with exit_on_error():
        config = quantize(arguments.folder, arguments.data, arguments.out, arguments.photos, arguments.threshold)
    shown = ("network", "threshold", "sha256", "bytes", "quantized")
    print(json.dumps({name: config[name] for name in shown}, indent=2))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.detector.quantize",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--folder", type=Path, required=True, help="an exported detector: model.onnx and config.json")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of photos to calibrate with")
    parser.add_argument("--photos", type=int, default=PHOTOS, help="how many of them (%(default)s)")
    parser.add_argument("--threshold", type=float, help="the served threshold, where it is to be another")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    return parser.parse_args()


def quantize(
    folder: Path, data: Sequence[Path], out: Path, count: int = PHOTOS, threshold: float | None = None
) -> dict[str, Any]:
    """Write the folder of the quantised detector and return its configuration.

    Args:
        folder: model.onnx and config.json of the float32 detector.
        data: as for `training.detector.train`; photos that are held out there are not used.
        out: the folder to write.
        count: photos to calibrate with; a multiple of `AT_ONCE` of them is used.
        threshold: the served threshold, 0..1; None keeps that of `folder`.

    Raises:
        DataError: a folder cannot be read, the detector is quantised already, or there are too few photos.
        WeightsMismatch: `folder` holds no exported detector.
    """
    config = served.read_config(folder / served.CONFIG_FILE)
    measured = {f"float_{name}": config.pop(name) for name in ("parity", "held_out") if name in config}
    if "quantized" in config or out.resolve() == folder.resolve():
        raise DataError(f"--folder names {folder}, which is quantised or is --out: name the float32 export")
    if threshold is not None and not 0 < threshold < 1:
        raise DataError(f"--threshold must be between 0 and 1, but is {threshold}")
    source = dataset.read(*data)
    learned = [photo.path for photo, held_out in zip(source.photos, source.held_out, strict=True) if not held_out]
    usable = min(count, len(learned)) // AT_ONCE * AT_ONCE
    if usable < AT_ONCE:
        raise DataError(f"calibration needs {AT_ONCE} photos or more, but got {min(count, len(learned))}")
    chosen = [learned[row] for row in np.random.default_rng(0).permutation(len(learned))[:usable]]
    out.mkdir(parents=True, exist_ok=True)
    file = out / served.WEIGHTS_FILE
    content = quantized(folder / served.WEIGHTS_FILE, inputs(chosen), len(chosen))
    replace(file, lambda opened: opened.write(content))
    config |= {
        "threshold": config["threshold"] if threshold is None else threshold,
        "sha256": sha256(file),
        "bytes": file.stat().st_size,
        "quantized": {"weight_bits": 7, "activation_bits": 8, "percentile": PERCENTILE, "photos": len(chosen)},
        "float_sha256": sha256(folder / served.WEIGHTS_FILE),
        **measured,
    }
    write_json(out / served.CONFIG_FILE, config)
    update_checksums(out.parent)
    return config


def inputs(photos: Sequence[Path]) -> Iterator[NDArray[np.float32]]:
    """The photos as the main pass sees them, every third as the close-up pass does, on a square of grey."""
    for number, photo in enumerate(photos):
        image = images.load(photo)
        scale = (CLOSE_UP_SIDE if number % 3 == 0 else AUTO_SIDE) / max(image.shape[:2])
        small = resize(image, (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))))
        square = np.full((AUTO_SIDE, AUTO_SIDE, 3), served.GREY, np.uint8)  # the calibration wants one size
        square[: small.shape[0], : small.shape[1]] = small
        yield served.to_input(square)


def quantized(file: Path, pixels: Iterator[NDArray[np.float32]], count: int) -> bytes:
    """The ONNX network with quantised convolutions, calibrated with `count` inputs of one size."""
    import onnx  # noqa: PLC0415  (of requirements-train.txt)
    from onnxruntime import quantization  # noqa: PLC0415
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        left = 0

        def __len__(self) -> int:
            return count

        def set_range(self, start_index: int, end_index: int) -> None:
            self.left = end_index - start_index

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            self.left -= 1
            return {name: next(pixels)} if self.left >= 0 else None

    with TemporaryDirectory() as scratch:
        prepared, made = Path(scratch) / "prepared.onnx", Path(scratch) / "model.onnx"
        quant_pre_process(file, prepared, skip_symbolic_shape=True)
        graph = onnx.load(prepared)
        name = graph.graph.input[0].name
        quantization.quantize_static(
            prepared,
            made,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=list(QUANTIZED),
            nodes_to_exclude=float_nodes(graph),
            calibrate_method=quantization.CalibrationMethod.Percentile,
            extra_options={"CalibPercentile": PERCENTILE, "CalibStridedMinMax": AT_ONCE},
        )
        model = onnx.load(made)
    return bytes(with_own_metadata(model).SerializeToString(deterministic=True))


def float_nodes(graph: Any) -> list[str]:
    """The nodes of the head that stay float32: the last convolutions of its branches, and all that decodes boxes.

    Raises:
        DataError: the nodes are not named as the export names them.
    """
    names = [node.name for node in graph.graph.node]
    if not any(name.startswith("/model.") for name in names):
        raise DataError("the network's nodes are not named /model.0/... as those that training.detector.export writes")
    head = max(int(name.split("/model.")[1].split("/")[0]) for name in names if name.startswith("/model."))
    decoding = [node.name for node in graph.graph.node if f"/model.{head}/" in node.name and node.op_type != "Conv"]
    last = [node.name for node in graph.graph.node if f"/model.{head}/" in node.name and node.name.endswith(".2/Conv")]
    distribution = [name for name in names if f"/model.{head}/dfl/" in name]
    return list(dict.fromkeys([*decoding, *last, *distribution]))


if __name__ == "__main__":
    main()
