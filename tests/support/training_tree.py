"""A little data set of the usual form for the tests of training: variants of one face, told apart by a white band that
a network learns quickly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from facemotion import EMOTIONS, images
from facemotion.expression import crops
from facemotion.faces import Box
from training.common.constants import SIDE

EXAMPLES = Path(__file__).resolve().parents[2] / "facemotion" / "assets" / "examples"
FACE = Box(183, 120, 353, 333)  # in grace_hopper.jpg
TRAIN, VALIDATION = 6, 3  # pictures of each emotion


def write_tree(root: Path) -> Path:
    """Writes 42 pictures to train and 21 to validation, all different; returns `root`."""
    face = crops.resize(crops.square(images.load(EXAMPLES / "grace_hopper.jpg"), FACE)[..., 0], SIDE)
    generator = np.random.default_rng(0)
    for split, count in (("train", TRAIN), ("validation", VALIDATION)):
        for label, emotion in enumerate(EMOTIONS):
            folder = root / "images" / split / emotion
            folder.mkdir(parents=True)
            for number in range(count):
                picture = face.astype(int) + generator.integers(-20, 20, face.shape)
                picture[label * 6 : label * 6 + 6] = 255
                Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(folder / f"{number}.png")
    return root
