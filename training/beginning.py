"""Published weights to begin a run from, instead of random ones: for fine-tuning on one's own pictures."""

from __future__ import annotations

import json
from pathlib import Path

from torch import nn

from facemotion import settings, weights
from facemotion.classifier import CONFIG_FILE, WEIGHTS_FILE, check_config
from training.config import Config, ConfigError
from training.inference import load_strictly


def begin(network: nn.Module, config: Config) -> str:
    """Fills `network` with the weights that `config.start` names; returns what pins them, without any folder's path:
    `owner/name@revision#sha256`, or `name#sha256` of a folder or of embedded weights.

    Raises:
        ConfigError: they are not there, or are of another network or normalisation.
        WeightsError: they cannot be had, or their tensors are not the network's.
    """
    weights_file, config_file, origin = find(config.start)
    published = _read(config_file)
    check_config(published)
    normalisation = {"mean": config.mean, "std": config.std}
    wanted = {"network": config.network, **normalisation}
    found = {"network": published["network"], **{name: published["normalisation"][name] for name in normalisation}}
    if different := [name for name in wanted if wanted[name] != found[name]]:
        flags = " ".join(f"--{name} {found[name]}" for name in different)
        raise ConfigError(f"the weights in --start {config.start} need {flags}")
    load_strictly(network, weights_file)
    return f"{origin}#{weights.sha256(weights_file)}"


def find(start: str) -> tuple[Path, Path, str]:
    """The weights, their configuration, and a name for both: of what `EmotionClassifier.from_pretrained` takes.

    Raises:
        ConfigError: the folder lacks one of the two files.
        WeightsError: there are no such weights, or the Hub does not hand them over.
    """
    name = settings.classifier_name() if start == "default" else start
    if "/" not in name and weights.is_embedded(name):
        return *_files(weights.embedded(name)), name
    if Path(name).is_dir():
        return *_files(Path(name)), Path(name).resolve().name
    reference = settings.Reference.parse(name)
    weights_file = weights.resolve(reference, WEIGHTS_FILE)
    revision = weights.pinned(reference, weights_file).revision
    config_file = weights.resolve(settings.Reference(reference.repo, revision), CONFIG_FILE)
    return weights_file, config_file, f"{reference.repo}@{revision}"


def _files(folder: Path) -> tuple[Path, Path]:
    for name in (WEIGHTS_FILE, CONFIG_FILE):
        if not (folder / name).is_file():
            raise ConfigError(f"{folder} holds no {name}: --start takes a model folder, as training.export writes it")
    return folder / WEIGHTS_FILE, folder / CONFIG_FILE


def _read(file: Path) -> object:
    try:
        return json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise ConfigError(f"{file} is not JSON: {error}") from error
