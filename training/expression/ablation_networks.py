"""Networks that are only trained: the candidates of the ablations, and a teacher.

    python -m training.expression.train --preset modern --network candidate-vgg --data official ...

The candidates cost about as much as `EmotionNet` (its 67 million multiply-adds; by their own measure, see
`multiply_adds`), so that the table compares forms and not sizes. All take grey float [N, 1, 48, 48] and return logits,
[N, 7].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from facemotion.faces import EMOTIONS
from training.expression import networks
from training.expression.networks import ResidualBlock


class Candidate(nn.Module):
    """A body of convolutions, the mean over places, and one linear layer."""

    input_size, input_channels = 48, 1

    def __init__(self, body: nn.Module, channels: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels, len(EMOTIONS))
        )

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(images))
        return logits


class NarrowVgg(Candidate):
    """Plain 3 x 3 convolutions with batch norm, halved in size four times (Simonyan and Zisserman, 2014)."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        channels = 1
        for width, count in ((16, 1), (40, 2), (96, 3), (176, 3)):
            for _ in range(count):
                layers += [*_conv_norm(channels, width, 3, 1), nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(2))
        super().__init__(nn.Sequential(*layers), channels)


class DeepResNet(Candidate):
    """The blocks of `EmotionNet`, narrower and more of them."""

    def __init__(self) -> None:
        blocks = [(16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 64, 1), (64, 124, 2), (124, 124, 1)]
        body = [*_conv_norm(1, 16, 3, 1), nn.ReLU(), *(ResidualBlock(i, o, stride) for i, o, stride in blocks)]
        super().__init__(nn.Sequential(*body), 124)


class WideResNet(Candidate):
    """The blocks of `EmotionNet`, twice as wide: 4,201,703 parameters, 266 million multiply-adds. Too slow to serve on
    two processors, and right more often: a teacher."""

    def __init__(self) -> None:
        blocks = [(32, 64, 2), (64, 160, 2), (160, 160, 1), (160, 320, 2), (320, 320, 1)]
        body = [*_conv_norm(1, 32, 3, 1), nn.ReLU(), *(ResidualBlock(i, o, stride) for i, o, stride in blocks)]
        super().__init__(nn.Sequential(*body), 320)


class LargerInput(Candidate):
    """The blocks of `EmotionNet` on pictures enlarged to 64 x 64, narrower by as much."""

    def __init__(self) -> None:
        blocks = [(16, 24, 2), (24, 60, 2), (60, 60, 1), (60, 116, 2), (116, 116, 1)]
        body = [*_conv_norm(1, 16, 3, 1), nn.ReLU(), *(ResidualBlock(i, o, stride) for i, o, stride in blocks)]
        super().__init__(nn.Sequential(*body), 116)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(functional.interpolate(images, size=64, mode="bilinear"))


class MobileNet(Candidate):
    """Inverted residuals: widened by 1 x 1, filtered by channel, gated, narrowed (Sandler et al., "MobileNetV2", 2018;
    Howard et al., "Searching for MobileNetV3", 2019)."""

    def __init__(self) -> None:
        stages = [(16, 32, 2), (32, 32, 1), (32, 72, 2), (72, 72, 1), (72, 72, 1), (72, 144, 2), (144, 144, 1)]
        body = [*_conv_norm(1, 16, 3, 1), nn.ReLU(), *(InvertedResidual(i, o, stride) for i, o, stride in stages)]
        super().__init__(nn.Sequential(*body), 144)


class InvertedResidual(nn.Module):
    """[N, i, H, W] -> [N, o, H / stride, W / stride], with a shortcut where the shapes allow one."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, widening: int = 6) -> None:
        super().__init__()
        inner = channels_in * widening
        self.layers = nn.Sequential(
            *_conv_norm(channels_in, inner, 1, 1),
            nn.Hardswish(),
            *_conv_norm(inner, inner, 3, stride, groups=inner),
            nn.Hardswish(),
            networks.SqueezeExcitation(inner),
            *_conv_norm(inner, channels_out, 1, 1),
        )
        self.keeps_shape = channels_in == channels_out and stride == 1

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.layers(images)
        return images + out if self.keeps_shape else out


class ConvNext(Candidate):
    """Depthwise 7 x 7 filters, then a two-layer perceptron at each place (Liu et al., "A ConvNet for the 2020s")."""

    def __init__(self) -> None:
        body: list[nn.Module] = [nn.Conv2d(1, 48, 4, 2, padding=1), ChannelNorm(48)]
        channels = 48
        for width, count in ((48, 2), (96, 3), (192, 2)):
            if width != channels:
                body += [ChannelNorm(channels), nn.Conv2d(channels, width, 2, 2)]
            body += [ConvNextBlock(width) for _ in range(count)]
            channels = width
        super().__init__(nn.Sequential(*body, ChannelNorm(channels)), channels)


class ConvNextBlock(nn.Module):
    """[N, C, H, W] -> the same shape; its branch starts near zero."""

    def __init__(self, channels: int, widening: int = 3) -> None:
        super().__init__()
        self.filters = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = ChannelNorm(channels)
        self.widen = nn.Conv2d(channels, channels * widening, 1)
        self.narrow = nn.Conv2d(channels * widening, channels, 1)
        self.scale = nn.Parameter(torch.full((1, channels, 1, 1), 0.1))

    def forward(self, images: Tensor) -> Tensor:
        inner: Tensor = self.narrow(functional.gelu(self.widen(self.norm(self.filters(images)))))
        out: Tensor = images + self.scale * inner
        return out


class ChannelNorm(nn.GroupNorm):
    """Layer norm over the channels and places of a picture, as a group norm of one group."""

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)


CANDIDATES: dict[str, type[nn.Module]] = {
    "candidate-vgg": NarrowVgg,
    "candidate-deep": DeepResNet,
    "candidate-64": LargerInput,
    "candidate-mobile": MobileNet,
    "candidate-convnext": ConvNext,
}
TEACHERS: dict[str, type[nn.Module]] = {"teacher-wide": WideResNet}
TRAINED_ONLY = CANDIDATES | TEACHERS


def build(name: str) -> nn.Module:
    """A network that is served, a candidate or a teacher, by its name.

    Raises:
        ValueError: the name is none of theirs.
    """
    return TRAINED_ONLY[name]() if name in TRAINED_ONLY else networks.build(name)


def multiply_adds(network: nn.Module) -> int:
    """Multiplications of the convolutions and linear layers for one picture."""
    total = 0

    def count(module: nn.Conv2d | nn.Linear, _: object, out: Tensor) -> None:
        nonlocal total
        places = out[0, 0].numel() if isinstance(module, nn.Conv2d) else 1
        total += places * module.weight.numel()

    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    side, channels = network.input_size, network.input_channels
    was_training = network.training
    with torch.inference_mode():
        network.eval()(torch.zeros(1, channels, side, side))  # type: ignore[call-overload]
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    return total


def _conv_norm(channels_in: int, channels_out: int, kernel: int, stride: int, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(channels_out)]
