"""The architectures of the emotion classifiers, and nothing else: no files, no pictures, no training."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from facemotion.faces import EMOTIONS

HEADS = ("labels", "votes", "photos", "consensus")
"""The sources of labels that `MultiHeadNet` has heads for: FER2013's own labels, which come from search words; the
votes of FER+ on the same pictures; photos that many people labelled (RAF-DB); both of the last two together."""

MULTI_HEAD = "multihead"  # the name of `MultiHeadNet` in `NETWORKS`
LEAST_PROBABILITY = 1e-9  # before a logarithm
DROPOUT = 0.25  # the study's value, after every convolution block


class SimpleCNN(nn.Module):
    """The study's network: four convolution blocks and three linear layers, 4,474,375 parameters, 293 million
    multiply-adds.

    Input: float [N, 3, 48, 48], normalised; grey pictures are repeated over the channels.
    Output: logits, float [N, 7], in the order of `EMOTIONS`.
    """

    input_size, input_channels = 48, 3

    def __init__(self) -> None:
        super().__init__()
        self.block1 = _block(3, 64, kernel=3)
        self.block2 = _block(64, 128, kernel=5)
        self.block3 = _block(128, 512, kernel=3)
        self.block4 = _block(512, 512, kernel=3)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(512 * 3 * 3, 256),
            nn.ReLU(),
            nn.Linear(256, 512),
            nn.ReLU(),
            nn.Linear(512, len(EMOTIONS)),
        )

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.block4(self.block3(self.block2(self.block1(images)))))
        return logits


def _block(channels_in: int, channels_out: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, padding="same"),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(DROPOUT),
    )


class EmotionNet(nn.Module):
    """A residual network with squeeze and excitation: 1,052,663 parameters, 67 million multiply-adds.

    Halving the resolution after the first convolution keeps most of the work where a face's parts are already in
    view. Residual blocks: He et al., "Deep Residual Learning for Image Recognition", 2016; the average before the
    shortcut's convolution: He et al., "Bag of Tricks for Image Classification", 2019; squeeze and excitation: Hu et
    al., "Squeeze-and-Excitation Networks", 2018.

    Input: float [N, 1, 48, 48], grey, normalised.
    Output: logits, float [N, 7], in the order of `EMOTIONS`.
    """

    input_size, input_channels = 48, 1

    def __init__(self, dropout: float = 0.3) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.body = nn.Sequential(
            ResidualBlock(16, 32, stride=2),
            ResidualBlock(32, 80, stride=2),
            ResidualBlock(80, 80),
            ResidualBlock(80, 160, stride=2),
            ResidualBlock(160, 160),
        )
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(160, len(EMOTIONS))
        )

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(self.stem(images)))
        return logits


class MultiHeadNet(EmotionNet):
    """The trunk of `EmotionNet` with a linear head for each source of labels; one head's answers do not bend another's.

    In training mode the output is that of `head_logits`. In evaluation mode it is the logarithm of the heads' mean
    probabilities, weighted by the buffer `mix`, float [N, 7].

    Input: float [N, 1, 64, 64], grey, normalised: a face in a photo has more pixels than FER2013's 48. That makes
    119 million multiply-adds; the parameters are EmotionNet's and those of three more heads.
    """

    input_size = 64

    def __init__(self, dropout: float = 0.3) -> None:
        super().__init__(dropout)
        channels = int(self.head[-1].in_features)  # type: ignore[arg-type]
        self.head = nn.Sequential(*list(self.head)[:-1])
        self.heads = nn.ModuleDict({name: nn.Linear(channels, len(EMOTIONS)) for name in HEADS})
        self.mix: Tensor
        self.register_buffer("mix", torch.full((len(HEADS),), 1 / len(HEADS)))

    def head_logits(self, images: Tensor) -> Tensor:
        """The logits of every head, float [N, 4, 7], in the order of `HEADS`."""
        features = self.head(self.body(self.stem(images)))
        return torch.stack([head(features) for head in self.heads.values()], dim=1)

    def forward(self, images: Tensor) -> Tensor:
        logits = self.head_logits(images)
        if self.training:
            return logits
        mean = (logits.float().softmax(2) * self.mix[:, None]).sum(1)
        return mean.clamp_min(LEAST_PROBABILITY).log()


class ResidualBlock(nn.Module):
    """Two convolutions and a gate for each channel, added to what came in."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.gate = SqueezeExcitation(channels_out)
        same = channels_in == channels_out and stride == 1
        self.shortcut = nn.Identity() if same else _shortcut(channels_in, channels_out, stride)

    def forward(self, images: Tensor) -> Tensor:
        inner = functional.relu(self.norm1(self.conv1(images)))
        inner = self.gate(self.norm2(self.conv2(inner)))
        return functional.relu(inner + self.shortcut(images))


class SqueezeExcitation(nn.Module):
    """Scales each channel by a number from 0 to 1 that depends on the means of all."""

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // reduction)
        self.excite = nn.Linear(channels // reduction, channels)

    def forward(self, images: Tensor) -> Tensor:
        scale = torch.sigmoid(self.excite(functional.relu(self.squeeze(images.mean((2, 3))))))
        return images * scale[:, :, None, None]


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.AvgPool2d(stride) if stride > 1 else nn.Identity(),
        nn.Conv2d(channels_in, channels_out, 1, bias=False),
        nn.BatchNorm2d(channels_out),
    )


NETWORKS: dict[str, type[nn.Module]] = {"simplecnn": SimpleCNN, "emotionnet": EmotionNet, MULTI_HEAD: MultiHeadNet}


def build(name: str) -> nn.Module:
    """A network by its name in `NETWORKS`, freshly initialised.

    Raises:
        ValueError: the name is unknown.
    """
    if name not in NETWORKS:
        raise ValueError(f"unknown network {name!r}; choose one of {', '.join(NETWORKS)}")
    return NETWORKS[name]()


def input_channels(name: str) -> int:
    """How many channels a network takes: each holds the same grey picture."""
    return int(NETWORKS[name].input_channels)  # type: ignore[attr-defined]


def input_size(name: str) -> int:
    """The side of the square pictures that a network takes, in pixels."""
    return int(NETWORKS[name].input_size)  # type: ignore[attr-defined]


def channels_last(network: nn.Module, device: torch.device | str = "cpu") -> nn.Module:
    """The network on the device, its convolutions in the memory format that is fastest there."""
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def count_parameters(network: nn.Module) -> int:
    """How many numbers training adjusts."""
    return sum(parameter.numel() for parameter in network.parameters())


__all__ = [
    "HEADS",
    "MULTI_HEAD",
    "NETWORKS",
    "EmotionNet",
    "MultiHeadNet",
    "SimpleCNN",
    "build",
    "channels_last",
    "count_parameters",
    "input_channels",
    "input_size",
]
