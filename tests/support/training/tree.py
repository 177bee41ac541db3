"""A little data set of the usual form for the tests of training: variants of one face, told apart by a white band that
a network learns quickly."""

from __future__ import annotations

from itertools import count, islice
from pathlib import Path

import numpy as np
from PIL import Image

from facemotion import EMOTIONS, images
from facemotion.expression import crops
from facemotion.faces import Box
from training.common.constants import SIDE

EXAMPLES = Path(__file__).resolve().parents[3] / "facemotion" / "assets" / "examples"
FACE = Box(183, 120, 353, 333)  # in grace_hopper.jpg
TRAIN, VALIDATION = 6, 3  # pictures of each emotion


def write_tree(root: Path) -> Path:
    """Writes 42 pictures to train and 21 to validation, all different; returns `root`."""
    face = crops.resize(crops.square(images.load(EXAMPLES / "grace_hopper.jpg"), FACE)[..., 0], SIDE)
    generator = np.random.default_rng(0)
    for split, each in (("train", TRAIN), ("validation", VALIDATION)):
        for label, emotion in enumerate(EMOTIONS):
            folder = root / "images" / split / emotion
            folder.mkdir(parents=True)
            for number in range(each):
                picture = face.astype(int) + generator.integers(-20, 20, face.shape)
                picture[label * 6 : label * 6 + 6] = 255
                Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(folder / f"{number}.png")
    return root


def write_photos(root: Path) -> Path:
    """Writes colour photos of several sizes, 56 to train and 14 to test, no two alike; returns `root`.

    They are named photo_0 and so on; `mixture.is_held_out` takes four of train out, 19, 29, 42 and 46.
    """
    generator = np.random.default_rng(1)
    numbers = count()
    for split, each in (("train", 8), ("test", 2)):
        for label, emotion in enumerate(EMOTIONS):
            folder = root / split / emotion
            folder.mkdir(parents=True)
            for number in islice(numbers, each):
                blots = generator.integers(0, 256, (6, 6, 3), np.uint8)  # smooth, as faces are
                photo = crops.resize(blots, 90 + number % 20)
                photo[label * 12 : label * 12 + 12] = 255
                Image.fromarray(photo).save(folder / f"photo_{number}.png")
    return root


def number_names(root: Path) -> None:
    """Renames every picture under `root` to a number of its own, as FER2013's are named by their row."""
    for number, file in enumerate(sorted(root.rglob("*.png"))):
        file.rename(file.with_name(f"{number}.png"))
