"""Expression classifier: face crops in, calibrated probabilities out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facemotion import deadline, settings, weights
from facemotion.errors import BadArray, ModelFailure, UnknownModel, WeightsError, WeightsMismatch
from facemotion.expression import crops, onnx_network
from facemotion.faces import EMOTIONS

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
_MIN_FLOAT, _MAX_FLOAT = sys.float_info.min, sys.float_info.max  # range of finite numbers above 0


Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Normalised images float32 [N, channels, size, size] -> logits float32 [N, 7]: an
`onnx_network.Network` or a substitute."""


class EmotionClassifier:
    """An expression network with its configuration.

    The configuration gives the input size, the normalisation, the temperature, the thresholds of `uncertain`, and
    `mirrored_below`, the lead below which a face is also classified mirrored (see `both_views`; 0 where it is missing).
    `description` says which weights these are; `notice` is None, or why they are not the ones asked for.

    Raises:
        WeightsMismatch: the configuration does not fit this version of the package.
    """

    def __init__(
        self, network: Network, config: Mapping[str, Any], description: str = "", notice: str | None = None
    ) -> None:
        check_config(config)
        self.network = network
        self.config = dict(config)
        self.description = description or str(config["network"])
        self.notice = notice

    @classmethod
    def from_pretrained(cls, name: str = "default") -> EmotionClassifier:
        """Load a classifier by name.

        Args:
            name: "default" (FACEMOTION_WEIGHTS, else `settings.CLASSIFIER`), the name of embedded weights, a Hub
                reference `owner/name[@revision[#sha256]]`, or a local folder with config.json and model.safetensors.

        Raises:
            WeightsError: the model named cannot be had. "default" never raises: when FACEMOTION_WEIGHTS cannot be
                had, the embedded weights serve, and `notice` says so.
        """
        if name != "default":
            return _load(name)
        wanted = settings.classifier_name()
        try:
            return _load(wanted)
        except WeightsError as error:
            if wanted == settings.CLASSIFIER:
                raise
            classifier = _load(settings.CLASSIFIER)
            classifier.notice = f"{wanted} was asked for, but the embedded weights serve: {error.message}"
            return classifier

    def classify(self, face_crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Calibrated probabilities of face crops.

        Args:
            face_crops: RGB uint8 [h, w, 3] each, of any size, used as they are.

        Returns:
            float32 [N, 7], rows sum to 1, columns in the order of `EMOTIONS`; [0, 7] for no crops.

        Raises:
            BadArray: a crop is not uint8 [h, w, 3].
            ModelFailure: the network raised or returned no finite numbers, or memory ran out.
        """
        for crop in face_crops:
            if crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape[2] != 3 or 0 in crop.shape:
                raise BadArray(f"A face crop must be uint8 [h, w, 3], but got {crop.dtype} {list(crop.shape)}.")
        step = settings.CLASSIFY_BATCH
        batches = []
        for start in range(0, len(face_crops), step):
            deadline.check()
            batches.append(self._forward(face_crops[start : start + step]))
        return np.concatenate([np.empty((0, len(EMOTIONS)), np.float32), *batches])

    def is_uncertain(self, probabilities: NDArray[np.float32]) -> bool:
        """Whether the top probability, or its lead over the second, is below the configured threshold, or is NaN.

        Args:
            probabilities: float [7].
        """
        second, top = np.sort(probabilities)[-2:]
        limits = self.config["uncertain"]
        return not (top >= limits["min_confidence"] and top - second >= limits["min_lead"])

    def _forward(self, face_crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        normalisation, spec = self.config["normalisation"], onnx_network.spec(self.config["network"])
        try:
            batch = crops.to_input(
                face_crops, spec.input_size, normalisation["mean"], normalisation["std"], spec.input_channels
            )
            logits = both_views(self.network, batch, self.config.get("mirrored_below", 0.0))
            if not np.isfinite(logits).all():
                raise FloatingPointError("the network returned a number that is not finite")
        except Exception as error:  # a runtime raises its own errors
            raise ModelFailure(
                "The expression model failed on this picture. Try again, or with fewer faces."
            ) from error
        return softmax(logits / self.config["temperature"])


def both_views(network: Network, images: NDArray[np.float32], below: float) -> NDArray[np.float32]:
    """Classify images, and doubtful ones also mirrored: the mean of both views is right more often.

    The mirror image's share of the probabilities rises from 0, where the lead of the top probability over the second
    is `below`, to one half at half that lead, so that answers change continuously.

    Args:
        network: what classifies.
        images: normalised float32 [N, channels, size, size].
        below: lead, 0..1, from which one view is enough; at 0 nothing is mirrored.

    Returns:
        float32 [N, 7]: logits of the images; of doubtful ones logarithms of mean probabilities.
    """
    logits = np.array(network(images), np.float32)
    probabilities = softmax(logits)
    second, top = np.sort(probabilities, axis=1)[:, -2:].T
    doubtful = top - second < below
    if doubtful.any():
        share = np.minimum(1 - (top - second)[doubtful] / below, 0.5)[:, None]
        mirrored = softmax(network(np.ascontiguousarray(images[doubtful, :, :, ::-1])))
        mean = probabilities[doubtful] * (1 - share) + mirrored * share
        logits[doubtful] = np.log(np.maximum(mean, np.finfo(np.float32).tiny))
    return logits


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities float32 [N, 7] of logits [N, 7]."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def check_config(config: Any) -> None:
    """Check a published configuration: keys, types and ranges.

    Raises:
        WeightsMismatch: it is no mapping, a key is missing, the network is unknown, the labels differ, the input's
            size is not the network's, or a number is none or outside its range.
    """
    if not isinstance(config, Mapping):
        raise WeightsMismatch(f"The configuration must be a JSON object, but is a {type(config).__name__}.")
    needed = {"network", "labels", "input", "normalisation", "temperature", "uncertain"}
    if missing := needed - set(config):
        raise WeightsMismatch(f"The configuration lacks {', '.join(sorted(missing))}.")
    if config["labels"] != list(EMOTIONS):
        raise WeightsMismatch(f"The labels are {config['labels']!r}, but must be {list(EMOTIONS)}.")
    _check_network(config["network"], _nested_value(config, "input", "size"))
    deviation = _nested_value(config, "normalisation", "std")
    for name, value in (("temperature", config["temperature"]), ("normalisation.std", deviation)):
        _check_range(name, value, _MIN_FLOAT, _MAX_FLOAT, "a finite number above 0")
    _check_range("mirrored_below", config.get("mirrored_below", 0), 0, 1, "a number from 0 to 1")
    for section, key in (("normalisation", "mean"), ("uncertain", "min_confidence"), ("uncertain", "min_lead")):
        _check_range(f"{section}.{key}", _nested_value(config, section, key), 0, 1, "a number from 0 to 1")


def _check_network(name: Any, size: Any) -> None:
    if not isinstance(name, str) or name not in onnx_network.names():
        known = ", ".join(onnx_network.names())
        raise WeightsMismatch(f"The network {name!r} is unknown here; this version has {known}.")
    expected = onnx_network.spec(name).input_size
    if type(size) is not int or size != expected:  # 48.0 and True are no sizes
        raise WeightsMismatch(f"input.size must be {expected}, the size that {name} takes, but is {size!r}.")


def _nested_value(config: Mapping[str, Any], section: str, key: str) -> Any:
    values = config[section]
    if not isinstance(values, Mapping) or key not in values:
        raise WeightsMismatch(f"The configuration lacks {section}.{key}.")
    return values[key]


def _check_range(name: str, value: Any, low: float, high: float, accepted: str) -> None:
    """Check a number against its range.

    It is not converted, which fails for an integer of 400 digits; NaN is in no range.
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:
        raise WeightsMismatch(f"{name} must be {accepted}, but is {value!r}.")


def _load(name: str) -> EmotionClassifier:
    embedded = weights.embedded_with(WEIGHTS_FILE)
    if name in embedded:
        folder = weights.embedded(name)
        return _load_files(folder / WEIGHTS_FILE, folder / CONFIG_FILE, f"{name} (embedded")
    if name and (folder := Path(name)).is_dir():
        return _load_files(folder / WEIGHTS_FILE, folder / CONFIG_FILE, f"{folder.name} (local")
    if "/" not in name:
        raise UnknownModel(f"No classifier is called {name!r}. Choose {', '.join(embedded)}, owner/name or a folder.")
    reference = settings.Reference.parse(name)
    weights_file = weights.resolve(reference, WEIGHTS_FILE)
    revision = weights.pinned(reference, weights_file).revision  # a branch may move on between the two files
    config_file = weights.resolve(settings.Reference(reference.repo, revision), CONFIG_FILE)
    return _load_files(weights_file, config_file, f"{reference.repo}@{reference.revision or 'main'} (Hub")


def _load_files(weights_file: Path, config_file: Path, origin: str) -> EmotionClassifier:
    for file in (weights_file, config_file):
        if not file.is_file():
            raise UnknownModel(f"{file.parent.name} holds no {file.name}.")
    try:
        config = json.loads(config_file.read_text("utf-8"))
    except (ValueError, RecursionError):
        raise WeightsMismatch(f"{config_file.name} is not JSON.") from None
    check_config(config)
    network = onnx_network.Network(config["network"], weights_file)
    return EmotionClassifier(network, config, f"{origin}, {weights.sha256(weights_file)[:8]})")
