"""Preprocessing and inference, shared by training, evaluation and export."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from facemotion import EmotionClassifier
from facemotion.expression import crops, onnx_network
from training.common import duplicates
from training.expression import networks
from training.expression.data.dataset import Split


class Normalisation(Protocol):
    """`training.expression.config.Config`, or anything else that says which grey levels, on the scale 0..1, become 0
    and 1."""

    @property
    def mean(self) -> float: ...
    @property
    def std(self) -> float: ...


def load_strictly(network: nn.Module, file: Path) -> None:
    """Fills `network` with the float16 or float32 safetensors in `file`, in place.

    Raises:
        UnsafeWeights: the file is no safetensors; a pickle is never opened.
        WeightsMismatch: names or shapes differ from the network's; the message lists how.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    tensors = onnx_network.read_strictly(file, shapes)
    network.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})


def torch_network(classifier: EmotionClassifier) -> nn.Module:
    """The network of a classifier that was loaded from a file, in PyTorch."""
    served = classifier.network
    assert isinstance(served, onnx_network.Network)  # from_pretrained makes no other
    network = networks.build(served.name)
    load_strictly(network, served.file)
    return network.eval()


def to_device(split: Split, config: Normalisation, device: torch.device) -> tuple[Tensor, Tensor]:
    """Normalised grey pictures float32 [N, 1, S, S] and labels int64 [N]."""
    return normalised(split.pictures, config, device), torch.from_numpy(split.labels).to(device)


def normalised(pictures: NDArray[np.uint8], config: Normalisation, device: torch.device | str = "cpu") -> Tensor:
    """Grey uint8 [N, H, W] -> float32 [N, 1, H, W] on the device."""
    grey = torch.from_numpy(pictures).to(device).unsqueeze(1)  # as bytes: a quarter of what is to be moved
    return (grey.float().div_(255) - config.mean) / config.std


def resized(grey: Tensor, side: int) -> Tensor:
    """Square pictures [N, 1, S, S] in another size, as `crops.resize` makes it."""
    if grey.shape[-1] > side:
        return functional.interpolate(grey, size=(side, side), mode="area")
    if grey.shape[-1] < side:
        return functional.interpolate(grey, size=(side, side), mode="bilinear", align_corners=False)
    return grey


def resized_pictures(pictures: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Grey uint8 [N, S, S] -> [N, side, side], by `crops.resize`; the same array where nothing changes."""
    if pictures.shape[-1] == side:
        return pictures
    return np.stack([crops.resize(picture, side) for picture in pictures]).reshape(-1, side, side)


def not_learned(validation: NDArray[np.uint8], training: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of the `validation` images, [N, S, S], are not among `training`, pixel for pixel in that size: bool [N]."""
    return ~duplicates.exact_matches(validation, resized_pictures(training, validation.shape[-1]))


def resized_split(split: Split, side: int) -> Split:
    """The split with its pictures in another size."""
    return dataclasses.replace(split, pictures=resized_pictures(split.pictures, side))


def as_input(grey: Tensor, network: nn.Module) -> Tensor:
    """Grey [N, 1, H, W] in the size and with the channels that the network takes."""
    channels, side = int(network.input_channels), int(network.input_size)  # type: ignore[arg-type]
    return resized(grey, side).expand(-1, channels, -1, -1).contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def predict(network: nn.Module, pictures: Tensor, bf16: bool = False, batch_size: int = 256) -> Tensor:
    """Logits, float32 [N, 7], with the network in evaluation mode; computed in float32, or in bfloat16."""
    network.eval()
    with torch.autocast(pictures.device.type, torch.bfloat16, enabled=bf16):
        return torch.cat([network(as_input(chunk, network)) for chunk in torch.split(pictures, batch_size)]).float()
