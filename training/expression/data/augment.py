"""Random pictures as serving would meet them, from pictures as the data set holds them.

Every picture draws from a generator of its own, seeded with the run's seed, the epoch and the row: the result depends
neither on the order, nor on the number of processes, nor on where a run was resumed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.expression.data import corruptions
from training.expression.data.corruptions import Generator, Grey

MAX_ROTATION = 12  # degrees
MAX_SHIFT, MAX_SCALE = 0.10, 0.15  # of the box's side: detectors differ by about that much
RARE, OCCASIONAL = 0.15, 0.3  # how often a picture is damaged in one way


def augmented(pictures: NDArray[np.uint8], rows: NDArray[np.integer], seed: int, epoch: int) -> NDArray[np.uint8]:
    """Augments the pictures [N, S, S] that stand in `rows`, int [N], of the data set."""
    return np.stack(
        [
            augment(picture, np.random.default_rng((seed, epoch, int(row))))
            for picture, row in zip(pictures, rows, strict=True)
        ]
    )


def augment(picture: Grey, random: Generator) -> Grey:
    """One picture, [S, S]: mirrored, turned, cropped by another box, in another light, and now and then damaged."""
    if random.random() < 0.5:
        picture = picture[:, ::-1]
    picture = corruptions.rotate(picture, random.uniform(-MAX_ROTATION, MAX_ROTATION))
    right, down = random.uniform(-MAX_SHIFT, MAX_SHIFT, 2)
    picture = corruptions.shift_box(picture, right, down, random.uniform(1 - MAX_SCALE, 1 + MAX_SCALE))
    return _damaged(_lit(picture, random), random)


def _lit(picture: Grey, random: Generator) -> Grey:
    picture = corruptions.contrast(picture, random.uniform(0.7, 1.3), random.uniform(-20, 20))
    return corruptions.gamma(picture, 2 ** random.uniform(-0.7, 0.7)) if random.random() < OCCASIONAL else picture


def _damaged(picture: Grey, random: Generator) -> Grey:
    """In the order in which it happens: something in front, optics, sensor, file."""
    if random.random() < OCCASIONAL:
        height, width = random.uniform(0.1, 0.4, 2)
        picture = corruptions.cover(picture, random.uniform(0, 1 - height), random.uniform(0, 1 - width), height, width)
    if random.random() < RARE:
        picture = corruptions.blur(picture, random.uniform(0.3, 1.2))
    elif random.random() < RARE:
        picture = corruptions.motion(picture, random.uniform(2, 5), random.uniform(0, 180))
    if random.random() < RARE:
        picture = corruptions.low_resolution(picture, random.uniform(16, 40))
    if random.random() < RARE:
        picture = corruptions.noise(picture, random.uniform(2, 10), random)
    if random.random() < RARE:
        picture = corruptions.jpeg(picture, random.uniform(20, 80))
    return picture
