"""Winograd convolutions, for training on processors without bfloat16 units.

Winograd's minimal filtering (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015) computes an
m x m tile of outputs of an r x r kernel with (m + r - 1)^2 multiplications instead of m^2 r^2. The result is that of
the direct convolution up to rounding, and so are the gradients. Everything here is a matrix product, which PyTorch
differentiates by itself.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

# Interpolation points by number; small and paired by sign and inverse keeps the rounding error low.
POINTS = (0, 1, -1, 2, -2, Fraction(1, 2), Fraction(-1, 2))
TILES = {3: (4, 3), 5: (4,)}  # kernel side -> sides of output tiles; the first that divides the picture is taken


class WinogradConv2d(nn.Conv2d):
    """`nn.Conv2d` with stride 1, "same" padding and a square kernel whose side stands in `TILES`."""

    def forward(self, input: Tensor) -> Tensor:
        tiles = TILES[self.kernel_size[0]]
        tile = next((t for t in tiles if input.shape[-1] % t == 0), tiles[0])
        outputs = convolve(input, self.weight, tile)
        return outputs if self.bias is None else outputs + self.bias.view(-1, 1, 1)


def use_winograd(network: nn.Module) -> None:
    """Turns the convolutions that gain from it into `WinogradConv2d`, in place; parameters keep their names."""
    for module in network.modules():
        if type(module) is nn.Conv2d and _gains(module):
            module.__class__ = WinogradConv2d


def _gains(module: nn.Conv2d) -> bool:
    side = module.kernel_size[0]
    keeps_size = module.stride == (1, 1) and module.padding in ("same", (side // 2, side // 2))
    plain = module.dilation == (1, 1) and module.groups == 1 and module.kernel_size == (side, side)
    return keeps_size and plain and side in TILES and module.in_channels >= 16


def convolve(images: Tensor, kernel: Tensor, tile: int) -> Tensor:
    """Images [N, C, H, W] with kernel [K, C, r, r], "same" padding -> [N, K, H, W]."""
    count, channels, height, width = images.shape
    side = kernel.shape[-1]
    window = tile + side - 1
    to_outputs, of_kernel, of_inputs = transforms(tile, side, images.dtype)
    rows, columns = -(-height // tile), -(-width // tile)
    reach = (side - 1) // 2
    padding = (0, 0, reach, (columns + 1) * tile - width - reach, reach, (rows + 1) * tile - height - reach)
    padded = functional.pad(images.permute(0, 2, 3, 1), padding)
    windows = _overlapping(_overlapping(padded, 1, tile, window), 3, tile, window)
    windows = windows.permute(2, 4, 0, 1, 3, 5).reshape(window * window, -1)
    inputs = (of_inputs @ windows).view(window * window, -1, channels)
    kernels = (of_kernel @ kernel.permute(2, 3, 1, 0).reshape(side * side, -1)).view(window * window, channels, -1)
    products = torch.bmm(inputs, kernels)
    outputs = to_outputs @ products.view(window * window, -1)
    outputs = outputs.view(tile, tile, count, rows, columns, -1).permute(2, 3, 0, 4, 1, 5)
    outputs = outputs.reshape(count, rows * tile, columns * tile, -1)[:, :height, :width]
    return outputs.permute(0, 3, 1, 2)


def _overlapping(images: Tensor, dim: int, tile: int, window: int) -> Tensor:
    """Splits `dim`, of (n + 1) tiles, into n windows that each begin a tile and reach into the next one. (Slices and
    `cat`, because the gradient of `Tensor.unfold` is slow.)"""
    tiles = torch.unflatten(images, dim, (-1, tile))
    count = tiles.shape[dim] - 1
    return torch.cat(
        [tiles.narrow(dim, 0, count), tiles.narrow(dim, 1, count).narrow(dim + 1, 0, window - tile)], dim + 1
    )


@cache
def transforms(tile: int, side: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """The two-dimensional transforms of products to outputs, of the kernel, and of the input windows: those of one
    dimension, times themselves (Kronecker)."""
    window = tile + side - 1
    points = [Fraction(p) for p in POINTS[: window - 1]]
    # Toom-Cook: evaluate both polynomials at the points and at infinity, and transpose the interpolation.
    evaluate_tile = _vandermonde(points, tile)
    evaluate_kernel = _vandermonde(points, side)
    interpolate = np.linalg.inv(_vandermonde(points, window).astype(float))
    matrices = evaluate_tile.T, evaluate_kernel, interpolate.T
    first, second, third = (torch.tensor(np.kron(m, m).astype(float), dtype=dtype) for m in matrices)
    return first, second, third


def _vandermonde(points: list[Fraction], powers: int) -> np.ndarray:
    """A row per point, a column per power; the last row stands for infinity, where only the highest power counts."""
    rows = [[float(p**power) for power in range(powers)] for p in points]
    return np.array([*rows, [0.0] * (powers - 1) + [1.0]])
