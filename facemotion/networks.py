"""The architectures of the emotion classifiers, and nothing else: no files, no pictures, no training."""

from __future__ import annotations

from torch import Tensor, nn

from facemotion.faces import EMOTIONS

DROPOUT = 0.25  # the study's value, after every convolution block


class SimpleCNN(nn.Module):
    """The study's network: four convolution blocks and three linear layers, 4,474,375 parameters, 293 million
    multiply-adds.

    Input: float [N, 3, 48, 48], normalised; grey pictures are repeated over the channels.
    Output: logits, float [N, 7], in the order of `EMOTIONS`.
    """

    input_size = 48

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


NETWORKS: dict[str, type[nn.Module]] = {"simplecnn": SimpleCNN}


def build(name: str) -> nn.Module:
    """A network by its name in `NETWORKS`, freshly initialised.

    Raises:
        ValueError: the name is unknown.
    """
    if name not in NETWORKS:
        raise ValueError(f"unknown network {name!r}; choose one of {', '.join(NETWORKS)}")
    return NETWORKS[name]()


def count_parameters(network: nn.Module) -> int:
    """How many numbers training adjusts."""
    return sum(parameter.numel() for parameter in network.parameters())


__all__ = ["NETWORKS", "SimpleCNN", "build", "count_parameters"]
