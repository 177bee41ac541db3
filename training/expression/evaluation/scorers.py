"""What can be evaluated, as functions of pictures: published models, runs, single heads, and functions of others."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from facemotion import EmotionClassifier
from facemotion.faces import EMOTIONS
from training.common.constants import SIDE
from training.common.devices import choose_device, has_bf16_units
from training.common.errors import DataError
from training.expression import ablation_networks, networks
from training.expression.config import Config
from training.expression.data.dataset import Split
from training.expression.evaluation import metrics
from training.expression.inference import Normalisation, normalised, predict, to_device, torch_network
from training.expression.networks import HEADS

CHUNK = 512  # pictures handed to the model at once

Pictures = NDArray[np.uint8]
Scorer = Callable[[Pictures], metrics.Floats]
"""Grey uint8 [N, S, S] -> logits, or logarithms of probabilities, float [N, 7], columns as in `EMOTIONS`."""


@dataclass(frozen=True)
class Model:
    """Something that scores pictures. `temperature` divides its logits; None where it is yet to be fitted. `side` is
    that of the pictures it takes, others are resized."""

    description: str
    score: Scorer
    temperature: float | None = None
    side: int = SIDE


def load_model(weights: str) -> Model:
    """Whatever `weights` names.

    Args:
        weights: a run directory (its best.pt), or what `EmotionClassifier.from_pretrained` takes, or
            `package.module:function` with a `Scorer`.

    Raises:
        DataError: the function or the run cannot be loaded.
        WeightsError: the model cannot be had.
    """
    if (Path(weights) / "best.pt").is_file():
        return from_run(Path(weights))
    if is_function(weights):
        module, _, function = weights.partition(":")
        return from_function(module, function)
    return from_classifier(EmotionClassifier.from_pretrained(weights))


def is_function(weights: str) -> bool:
    """Whether it is `package.module:function`; the name of a folder may hold a colon too."""
    return ":" in weights and not Path(weights).exists()


def load_heads(weights: str) -> dict[str, Model]:
    """Each head of a network of several heads by itself, by its name; empty for other models.

    Args:
        weights: as for `load_model`.

    Raises:
        WeightsError: the model cannot be had.
    """
    if is_function(weights):
        return {}
    if (run := Path(weights) / "best.pt").is_file():
        config = Config.of_run(run.parent)
        normalisation: Normalisation = config
        network, description = ablation_networks.build(config.network), f"the run {run.parent.resolve().name}"
        network.load_state_dict(torch.load(run, map_location="cpu", weights_only=True)["network"])
    else:
        classifier = EmotionClassifier.from_pretrained(weights)
        network, description = torch_network(classifier), classifier.description
        normalisation = Config(**classifier.config["normalisation"])
    if not isinstance(network, networks.MultiHeadNet):
        return {}
    return {name: from_head(network, normalisation, name, description) for name in HEADS}


def from_head(network: networks.MultiHeadNet, normalisation: Normalisation, head: str, description: str) -> Model:
    """A network whose answers come from one of its heads, at a temperature of 1."""
    alone = copy.deepcopy(network).eval()
    alone.mix.copy_(torch.eye(len(HEADS))[HEADS.index(head)])

    def score(pictures: Pictures) -> metrics.Floats:
        return np.asarray(predict(alone, normalised(pictures, normalisation)).numpy())

    return Model(f"{description}, head {head}", score, side=network.input_size)


def from_run(run: Path) -> Model:
    """The best epoch of a run directory."""
    config = Config.of_run(run)
    saved = torch.load(run / "best.pt", map_location="cpu", weights_only=True)
    device = choose_device()
    network = networks.channels_last(ablation_networks.build(config.network), device)
    network.load_state_dict(saved["network"])

    def score(pictures: Pictures) -> metrics.Floats:
        unlabelled = Split(pictures, np.zeros(len(pictures), np.int64), ())
        inputs, _ = to_device(unlabelled, config, device)
        bf16 = device.type == "cpu" and has_bf16_units()  # a GPU validates in float32, as in training
        return np.asarray(predict(network, inputs, bf16).cpu().numpy())

    description = f"{config.network}, epoch {saved['epoch']} of the run {run.resolve().name}"
    return Model(description, score, side=int(network.input_size))  # type: ignore[arg-type]


def from_classifier(classifier: EmotionClassifier) -> Model:
    """A published model, with its probabilities turned back into logits, so that its temperature is evaluated too."""
    temperature = float(classifier.config["temperature"])

    def score(pictures: Pictures) -> metrics.Floats:
        probabilities = classifier.classify([np.repeat(p[..., None], 3, axis=2) for p in pictures])
        return np.asarray(np.log(np.maximum(probabilities.astype(np.float64), 1e-30)) * temperature)

    return Model(classifier.description, score, temperature, classifier.config["input"]["size"])


def single_view(weights: str) -> Model:
    """A model as `load_model` loads it, without the mirrored second view of doubtful faces.

    Raises:
        DataError: the function or the run cannot be loaded.
        WeightsError: the model cannot be had.
    """
    if (Path(weights) / "best.pt").is_file() or is_function(weights):
        return load_model(weights)
    classifier = EmotionClassifier.from_pretrained(weights)
    return from_classifier(EmotionClassifier(classifier.network, classifier.config | {"mirrored_below": 0.0}))


def from_function(module: str, function: str) -> Model:
    """The function of that name, imported from the module.

    Raises:
        DataError: there is none.
    """
    try:
        scorer = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise DataError(f"no function {module}:{function} to score with: {error}") from error
    if not callable(scorer):
        raise DataError(f"{module}:{function} is no function to score with, but a {type(scorer).__name__}")
    return Model(f"{module}:{function}", scorer)


def logits_of(score: Scorer, pictures: Pictures) -> metrics.Floats:
    """Scores all pictures, some at a time: float64 [N, 7].

    Raises:
        DataError: the scorer returns something else, or numbers that are not finite.
    """
    parts = []
    for start in tqdm(range(0, len(pictures), CHUNK), desc="scoring", unit=f"x {CHUNK}", leave=False):
        chunk = pictures[start : start + CHUNK]
        logits = np.asarray(score(chunk), np.float64)
        if logits.shape != (len(chunk), len(EMOTIONS)):
            raise DataError(f"a scorer must return [{len(chunk)}, {len(EMOTIONS)}] logits, but got {logits.shape}")
        if not np.isfinite(logits).all():
            raise DataError("a scorer must return finite logits, but some are not")
        parts.append(logits)
    return np.concatenate(parts)
