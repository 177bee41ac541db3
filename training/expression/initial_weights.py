"""Initial weights from a published model, for fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from facemotion import EmotionClassifier, settings, weights
from facemotion.expression import onnx_network
from facemotion.faces import EMOTIONS
from training.expression.config import Config, ConfigError
from training.expression.inference import load_strictly, torch_network
from training.expression.networks import HEADS, MULTI_HEAD, MultiHeadNet


def load_initial(network: nn.Module, config: Config) -> str:
    """Load the weights that `config.init_weights` names into `network`, and return their pin.

    Raises:
        ConfigError: they are of another network or normalisation.
        WeightsError: they cannot be had, or their tensors are not the network's.
    """
    published = EmotionClassifier.from_pretrained(config.init_weights)
    if published.notice:  # "default" never fails, but falls back
        raise ConfigError(published.notice.rstrip("."))
    found = {"network": published.config["network"], **published.config["normalisation"]}
    if config.network == MULTI_HEAD and found["network"] == "emotionnet":
        found["network"] = MULTI_HEAD  # the same trunk
    if different := [name for name, value in found.items() if getattr(config, name) != value]:
        flags = " ".join(f"--{name} {found[name]}" for name in different)
        raise ConfigError(f"the weights in --init-weights {config.init_weights} need {flags}")
    served = published.network
    assert isinstance(served, onnx_network.Network)  # from_pretrained makes no other
    if isinstance(network, MultiHeadNet) and served.name == "emotionnet":
        load_heads_from_single(network, torch_network(published), published.config)
    else:
        load_strictly(network, served.file)
    return pin(config.init_weights, served.file)


def terms(config: Config) -> str:
    """The terms of use of the weights that `config.init_weights` names; "" where they have none."""
    return str(EmotionClassifier.from_pretrained(config.init_weights).config.get("terms") or "")


def load_heads_from_single(network: MultiHeadNet, single: nn.Module, config: Mapping[str, Any]) -> None:
    """Copy the trunk of `EmotionNet`, and its linear layer into every head.

    Versions up to 0.1 added seven numbers to the biases of the published layer; they are taken off again.
    """
    tensors = dict(single.state_dict())
    weight, bias = list(tensors)[-2:]
    if adjustment := config.get("recipe", {}).get("logit_adjustment"):
        tensors[bias] = tensors[bias] - torch.tensor([adjustment["biases"][emotion] for emotion in EMOTIONS])
    state = {name: tensor for name, tensor in tensors.items() if name not in (weight, bias)}
    for name in HEADS:
        state |= {f"heads.{name}.weight": tensors[weight], f"heads.{name}.bias": tensors[bias]}
    network.load_state_dict(state | {"mix": network.mix})


def pin(start: str, file: Path) -> str:
    """`owner/name@revision#sha256` of weights on the Hub, else `name#sha256`: of a folder's path only its name."""
    name = settings.classifier_name() if start == "default" else start
    if "/" in name and not Path(name).is_dir():
        return str(weights.pinned(settings.Reference.parse(name), file))
    return f"{file.absolute().parent.name}#{weights.sha256(file)}"
