"""Folders of pictures -> checked arrays.

The tree is that of the Kaggle data set jonathanoheix/face-expression-recognition-dataset,
`images/{train,validation}/<emotion>/<row>.jpg`, or the same without `images/`, with or without a `test` folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from facemotion.faces import EMOTIONS

SIDE = 48  # FER2013's pictures are 48 x 48 grey
SUFFIXES = {".png", ".jpg", ".jpeg"}


class DataError(Exception):
    """The data cannot be trained on; the message says what is wrong and what was expected."""


@dataclass(frozen=True)
class Split:
    """One split in memory: `pictures` uint8 [N, 48, 48] grey, `labels` int64 [N] into `EMOTIONS`, `names` N file
    stems (FER2013's row numbers)."""

    pictures: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


def load_split(root: Path, split: str) -> Split:
    """Reads `root/images/<split>/<emotion>/*`, or `root/<split>/<emotion>/*`, in the order of the file names.

    Raises:
        DataError: no such folder, a folder that is none of `EMOTIONS`, or a picture that is not 48 x 48.
    """
    folder = next((f for f in (root / "images" / split, root / split) if f.is_dir()), None)
    if folder is None:
        raise DataError(f"no folder {split!r} under {root}: expected {root}/images/{split}/<emotion>/*.jpg")
    unknown = sorted(f.name for f in folder.iterdir() if f.is_dir() and f.name not in EMOTIONS)
    if unknown:
        raise DataError(f"{folder} holds {', '.join(unknown)}, but the folders must be named {', '.join(EMOTIONS)}")
    files = [
        (file, label)
        for label, emotion in enumerate(EMOTIONS)
        for file in sorted((folder / emotion).glob("*"))
        if file.suffix.lower() in SUFFIXES
    ]
    if not files:
        raise DataError(f"{folder} holds no pictures ({', '.join(sorted(SUFFIXES))})")
    pictures = np.empty((len(files), SIDE, SIDE), np.uint8)
    for index, (file, _) in enumerate(tqdm(files, desc=f"reading {split}", unit="picture", leave=False)):
        pictures[index] = _read(file)
    return Split(pictures, np.array([label for _, label in files]), tuple(file.stem for file, _ in files))


def _read(file: Path) -> np.ndarray:
    with Image.open(file) as picture:
        grey = np.asarray(picture.convert("L"))
    if grey.shape != (SIDE, SIDE):
        raise DataError(f"{file} is {grey.shape[1]} x {grey.shape[0]}, but the pictures must be {SIDE} x {SIDE}")
    return grey
