"""A classifier -> model.onnx, for those who run it without PyTorch.

Input `images`: float32 [N, C, S, S], as `facemotion.expression.crops.to_input` makes it. Output `probabilities`:
float32 [N, 7], calibrated, in the order of `EMOTIONS`. What a user of the file has to know stands in its metadata too.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facemotion import EmotionClassifier
from facemotion.expression import crops
from training.common.errors import DataError
from training.expression import inference, networks

OPSET = 18  # the lowest that the exporter writes by itself: runtimes of 2023 already read it
MAX_PARITY_ERROR = 1e-4  # of a probability, between PyTorch and ONNX Runtime; both compute in float32
INSTALL = "pip install -r requirements-train.txt"


class ExportError(DataError):
    """There is no model to publish, or it cannot be exported; the message says why and what to do."""


class Calibrated(nn.Module):
    """A network with its temperature: normalised pictures in, probabilities out."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network, self.temperature = network, temperature

    def forward(self, images: Tensor) -> Tensor:
        return torch.softmax(self.network(images) / self.temperature, dim=1)


def export(classifier: EmotionClassifier, file: Path) -> float:
    """Writes `file` and returns its parity error: the largest difference of a probability from the classifier's.

    Raises:
        ExportError: onnx, onnxscript or onnxruntime is not installed, or the error is above `MAX_PARITY_ERROR`.
    """
    try:
        import onnx  # noqa: F401, PLC0415
        import onnxruntime  # noqa: F401, PLC0415
        import onnxscript  # noqa: F401, PLC0415
    except ImportError as error:
        raise ExportError(f"The export to ONNX needs {error.name}, which is not installed: {INSTALL}") from None
    _write(classifier, file)
    difference = parity_error(classifier, file, sample_crops())
    if difference > MAX_PARITY_ERROR:
        raise ExportError(
            f"{file.name} differs from PyTorch by {difference:.1e} in a probability, more than {MAX_PARITY_ERROR}: it "
            "is not published. The versions in requirements-train.txt are those it was tested with."
        )
    return difference


def _write(classifier: EmotionClassifier, file: Path) -> None:
    size, channels = classifier.config["input"]["size"], networks.input_channels(classifier.config["network"])
    program = exported(_calibrated(classifier), channels, size, "probabilities")
    program.model.metadata_props.update(metadata(classifier.config))
    program.save(file, external_data=False)


def exported(network: nn.Module, channels: int, size: int, output: str, optimize: bool = True) -> Any:
    """PyTorch's ONNX program of a network for any number of images [N, channels, size, size]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's remarks on its own code
        return torch.onnx.export(
            network,
            (torch.zeros(2, channels, size, size),),
            input_names=["images"],
            output_names=[output],
            dynamic_shapes=({0: torch.export.Dim("faces")},),
            opset_version=OPSET,
            dynamo=True,
            optimize=optimize,
            verbose=False,
        )


def _calibrated(classifier: EmotionClassifier) -> nn.Module:
    return Calibrated(inference.torch_network(classifier), classifier.config["temperature"]).eval()


def metadata(config: dict[str, Any]) -> dict[str, str]:
    """What one has to know to use the file, as the texts that ONNX allows."""
    return {name: json.dumps(config[name]) for name in ("labels", "input", "normalisation", "uncertain")}


def parity_error(classifier: EmotionClassifier, file: Path, pictures: Sequence[NDArray[np.uint8]]) -> float:
    """The largest difference between the probabilities of `file`, run by ONNX Runtime, and the classifier's by PyTorch.

    Args:
        classifier: what the file was exported from.
        file: of `export`.
        pictures: RGB uint8 [h, w, 3] each.
    """
    import onnxruntime  # noqa: PLC0415

    normalisation = classifier.config["normalisation"]
    size = classifier.config["input"]["size"]
    channels = networks.input_channels(classifier.config["network"])
    images = crops.to_input(pictures, size, normalisation["mean"], normalisation["std"], channels)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"images": images})
    with torch.inference_mode():
        expected = _calibrated(classifier)(torch.from_numpy(images)).numpy()
    return float(np.abs(probabilities - expected).max())


def sample_crops(count: int = 12) -> list[NDArray[np.uint8]]:
    """The same `count` RGB pictures each time, uint8 [side, side, 3] of several sizes: blots of random colours, as
    smooth as faces are, because a network answers every picture of plain noise alike."""
    random = np.random.default_rng(2013)
    blots = [random.integers(0, 256, (5, 5, 3), np.uint8) for _ in range(count)]
    return [crops.resize(blot, 24 + 16 * (index % 6)) for index, blot in enumerate(blots)]
