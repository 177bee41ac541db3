"""The WIDER FACE tree, as its authors hand it out: photos with their boxes.

    WIDER/wider_face_split/wider_face_train_bbx_gt.txt    and ..._val_bbx_gt.txt
    WIDER/WIDER_train/images/<event>/<photo>.jpg          and WIDER_val/...

In the text files a photo is its path, the number of its faces, and a line a face: x y width height blur expression
illumination invalid occlusion pose. A photo without faces has one line of zeros all the same.
Yang et al., "WIDER FACE: A Face Detection Benchmark", CVPR 2016; for research, not for commerce.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from facemotion.detectors.boxes import Boxes
from training.common.errors import DataError
from training.detector.data.yolo_format import Photo

SPLITS = ("train", "val")
_INVALID = 7  # the column that says: a face, but not one to learn or to count


@dataclass(frozen=True)
class Entry:
    """One photo of a split: its path under images/, its faces, and those that are marked invalid, each [N, 4]."""

    path: str
    faces: Boxes
    invalid: Boxes


def is_tree(root: Path) -> bool:
    """Whether `root` is laid out so."""
    return (root / "wider_face_split").is_dir()


def load(root: Path) -> tuple[list[Photo], dict[str, Boxes]]:
    """The photos of the train and val splits, of the sets wider_train and wider_val; and by photo name the boxes of
    faces that are to be ignored.

    Raises:
        DataError: a file is missing or not in the form above.
    """
    photos, ignored = [], {}
    for split in SPLITS:
        listing = root / "wider_face_split" / f"wider_face_{split}_bbx_gt.txt"
        if not listing.is_file():
            raise DataError(f"{listing} is missing: unpack wider_face_split.zip into {root}")
        for entry in parse(listing.read_text(encoding="utf-8"), listing.name):
            photo = _photo(root / f"WIDER_{split}" / "images" / entry.path, f"wider_{split}", entry.faces)
            photos.append(photo)
            ignored[photo.name] = entry.invalid
    return photos, ignored


def parse(text: str, name: str = "the list") -> Iterator[Entry]:
    """The photos that the text of a split lists.

    Raises:
        DataError: it is not in that form; `name` and the line are told.
    """
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        try:
            count = int(lines[at + 1])
            rows = np.array([line.split()[:10] for line in lines[at + 2 : at + 2 + max(1, count)]], np.float32)
            if rows.shape != (max(1, count), 10):
                raise ValueError("a line of a face has ten numbers")
        except (ValueError, IndexError) as error:
            raise DataError(f"{name}, line {at + 1}: expected a photo, a number and its faces: {error}") from None
        corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
        solid = (rows[:, 2:4] >= 1).all(axis=1)
        invalid = rows[:, _INVALID] == 1
        yield Entry(lines[at].strip(), corners[solid & ~invalid], corners[solid & invalid])
        at += 2 + len(rows)


def _photo(file: Path, of_set: str, faces: Boxes) -> Photo:
    try:
        with Image.open(file) as picture:
            width, height = picture.size
    except OSError as error:
        raise DataError(f"{file} cannot be read as a picture: {error}") from error
    return Photo(file, of_set, width, height, np.clip(faces, 0, [width, height] * 2).astype(np.float32))
