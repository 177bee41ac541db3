"""Augmentation of a batch of training images, drawn anew in every epoch.

One bilinear sampling does flip, rotation, shift, scale and stretch; contrast, gamma, low resolution, blur, noise, JPEG
and erasing follow. A batch of 128 takes a few milliseconds, so nothing is stored.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.expression.data import corruptions

MAX_ROTATION = 15.0  # degrees
MAX_SHIFT = 0.08  # of the box's side: detectors differ by about that much
SCALES = (0.85, 1.2)  # side of the crop in sides of the picture: RAF-DB's crops are tighter than a detector's box
MAX_STRETCH = 0.08  # of the width against the height
LOW_SIDES = (14, 36)  # pixels of a face in a poor photo
RARE, OCCASIONAL = 0.12, 0.25  # share of a batch that is damaged in one way


def augment(pictures: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Augment images: crop, flip, rotation, light, resolution, blur, noise, compression, occlusion.

    Args:
        pictures: grey float32 [N, 1, S, S], 0..1, on the CPU.
        side: of what comes out. Larger ones are sampled finely and averaged, against aliasing.
        generator: all chance is drawn from it.

    Returns:
        grey float32 [N, 1, side, side], 0..1.
    """
    fine = 2 if pictures.shape[-1] > side else 1
    grid = functional.affine_grid(
        _transforms(len(pictures), generator), [len(pictures), 1, side * fine, side * fine], align_corners=False
    )
    sampled = functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    return _damaged(_lit(functional.avg_pool2d(sampled, fine) if fine > 1 else sampled, generator), generator)


def _transforms(count: int, generator: torch.Generator) -> Tensor:
    """Affine matrices [N, 2, 3] from the crop's coordinates to the picture's, both -1..1."""

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(count).uniform_(low, high, generator=generator)

    angle = uniform(-MAX_ROTATION, MAX_ROTATION) * (math.pi / 180)
    scale = torch.exp(uniform(math.log(SCALES[0]), math.log(SCALES[1])))
    stretch = 1 + uniform(-MAX_STRETCH, MAX_STRETCH)
    flip = 1 - 2 * (uniform(0, 1) < 0.5).float()
    across, down = scale * stretch, scale / stretch
    shift = 2 * MAX_SHIFT  # the coordinates span two
    rows = [
        torch.stack([angle.cos() * across * flip, -angle.sin() * down, uniform(-shift, shift)], 1),
        torch.stack([angle.sin() * across * flip, angle.cos() * down, uniform(-shift, shift)], 1),
    ]
    return torch.stack(rows, 1)


def _lit(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Contrast by a factor about the mean, brightness, gamma."""

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(len(pictures), 1, 1, 1).uniform_(low, high, generator=generator)

    mean = pictures.mean((2, 3), keepdim=True)
    lit = ((pictures - mean) * uniform(0.7, 1.35) + mean + uniform(-0.1, 0.1)).clamp(0, 1)
    return lit.pow(torch.exp2(uniform(-0.5, 0.5)))


def _damaged(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """In the order in which it happens: something in front, optics, sensor, few pixels, file."""
    damaged = pictures.clone()
    for row in _some(len(pictures), OCCASIONAL, generator):
        damaged[row] = _erased(damaged[row], generator)
    if len(rows := _some(len(pictures), RARE, generator)):
        damaged[rows] = _blurred(damaged[rows], _number(0.4, 1.2, generator))
    if len(rows := _some(len(pictures), RARE, generator)):
        noise = torch.randn(damaged[rows].shape, generator=generator)
        damaged[rows] = (damaged[rows] + noise * _number(0.01, 0.04, generator)).clamp(0, 1)
    if len(rows := _some(len(pictures), RARE, generator)):
        small = round(_number(*LOW_SIDES, generator))
        few = functional.interpolate(damaged[rows], size=(small, small), mode="area")
        side = damaged.shape[-1]
        damaged[rows] = functional.interpolate(few, size=(side, side), mode="bilinear", align_corners=False)
    for row in _some(len(pictures), RARE / 2, generator):
        quality = _number(20, 80, generator)
        bytes_ = (damaged[row, 0] * 255).round().to(torch.uint8).numpy()
        damaged[row, 0] = torch.from_numpy(corruptions.jpeg(bytes_, quality).astype(np.float32)) / 255
    return damaged


def _erased(picture: Tensor, generator: torch.Generator) -> Tensor:
    """A rectangle in the picture's mean: a hand, a mask, a microphone (Zhong et al., "Random Erasing", 2020)."""
    side = picture.shape[-1]
    height, width = (round(side * _number(0.1, 0.4, generator)) for _ in range(2))
    top, left = (round((side - length) * _number(0, 1, generator)) for length in (height, width))
    erased = picture.clone()
    erased[:, top : top + height, left : left + width] = picture.mean()
    return erased


def _blurred(pictures: Tensor, sigma: float) -> Tensor:
    """A Gaussian of `sigma` pixels, the border repeated."""
    places = torch.arange(-3.0, 4.0)
    line = torch.exp(-places.square() / (2 * sigma**2))
    kernel = torch.outer(line, line)
    padded = functional.pad(pictures, (3, 3, 3, 3), mode="replicate")
    return functional.conv2d(padded, (kernel / kernel.sum())[None, None])


def _some(count: int, share: float, generator: torch.Generator) -> Tensor:
    """Row numbers, each taken with the probability `share`."""
    return torch.nonzero(torch.rand(count, generator=generator) < share).flatten()


def _number(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))
