"""Photos with face boxes in YOLO's form, and which of them are held out.

The folder holds `images/` (JPEG, PNG or WebP), `labels/<name>.txt` with a line "0 center-x center-y width height" per
face, in shares of the picture, and optionally `manifest.csv` with the columns name (or file) and set, perhaps also
labels (who drew the boxes: "people", "teacher", or why there are none), source and licence.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from training.common import duplicates
from training.common.constants import SIDE
from training.common.errors import DataError, naming_all
from training.common.files import pictures_in

IGNORED_PX = 5  # of a box's longer side; fewer are neither learned nor counted
HELD_OUT = 10  # one source photo in so many of every set
NO_FACES = "neg_cats"  # a set without a face, all of it is held out

_ORIENTATION, _ON_ITS_SIDE = 0x0112, 5  # EXIF's tag, and its first value of a photo that is turned by 90 degrees
# Frames of one film, and pictures one camera took within a session: "..._mp4-53", "mask-wearing-1632938125416".
_SERIES = re.compile(r"(_(mp4|mov|avi)-\d+|-\d{13})$", re.IGNORECASE)


@dataclass(frozen=True)
class Photo:
    """A picture, the set it came with, and its faces: float32 [N, 4], x0 y0 x1 y1 in pixels of the picture.

    `labelled_by` is what manifest.csv says under labels: "people", "teacher", or "none" where no face is there.
    """

    path: Path
    set: str
    width: int
    height: int
    boxes: NDArray[np.float32]
    labelled_by: str = "people"

    @property
    def name(self) -> str:
        """The file's stem."""
        return self.path.stem

    @property
    def largest_share(self) -> float:
        """The part of the picture that its largest face covers, 0..1."""
        areas = (self.boxes[:, 2:] - self.boxes[:, :2]).prod(axis=1)
        return float(areas.max(initial=0) / (self.width * self.height))


def load(root: Path) -> list[Photo]:
    """All photos under `root`, by name.

    Raises:
        DataError: there are none, or pictures or label files cannot be read; all of these are named.
    """
    files = pictures_in(root / "images")
    if not files:
        raise DataError(f"{root} holds no pictures: expected {root}/images/* and {root}/labels/*.txt")
    rows = read_manifest(root)
    loaded, problems = list[Photo](), list[str]()
    for file in files:
        try:
            loaded.append(_photo(file, root / "labels" / f"{file.stem}.txt", rows.get(file.stem, {})))
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise naming_all(problems)
    return loaded


def held_out(photos: Sequence[Photo]) -> NDArray[np.bool_]:
    """The held-out photos: a fixed tenth of the source photos of every set, with all that show the
    same, and every photo of a set without faces. The choice rests on names, so that it never changes: bool [N].
    """
    sources = source_photos(photos)
    chosen: set[str] = set()
    by_set: dict[str, set[str]] = defaultdict(set)
    for photo, source in zip(photos, sources, strict=True):
        by_set[photo.set].add(source)
    for of_set in by_set.values():
        drawn = sorted(of_set, key=lambda source: hashlib.sha256(source.encode()).digest())
        chosen.update(drawn[: max(1, len(drawn) // HELD_OUT)])
    return np.array([p.set == NO_FACES or source in chosen for p, source in zip(photos, sources, strict=True)], bool)


def load_all(roots: Sequence[Path]) -> tuple[list[Photo], NDArray[np.bool_]]:
    """The photos of several folders, and which are held out: bool [N].

    Each folder's choice is that of `held_out`, whatever other folders stand beside it; a photo that shows the same as
    one held out elsewhere is held out too.

    Raises:
        DataError: as for `load`, or two photos have the same name.
    """
    folders = [load(root) for root in roots]
    photos = [photo for folder in folders for photo in folder]
    names = [photo.name for photo in photos]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"two of {', '.join(map(str, roots))} hold a photo named {twice}: rename it in one of them")
    held = np.concatenate([held_out(folder) for folder in folders])
    if len(folders) > 1:
        sources = source_photos(photos)
        chosen = {source for source, out in zip(sources, held, strict=True) if out}
        held = np.array([source in chosen for source in sources], bool)
    return photos, held


def source_photos(photos: Sequence[Photo]) -> list[str]:
    """A name for what each photo shows: the same for frames of one film, and for nearly equal pictures."""
    names = [_SERIES.sub("", photo.name) for photo in photos]
    small = np.stack([_reduced(photo.path) for photo in tqdm(photos, desc="reading", leave=False, mininterval=1)])
    equal = [(rows[0], row) for rows in duplicates.equal_groups(small) for row in rows[1:]]
    near = [(pair.first, pair.second) for pair in duplicates.near_pairs(small)]
    return _joined(names, equal + near)


def _joined(names: Sequence[str], same: Sequence[tuple[int, int]]) -> list[str]:
    """Gives groups of names that some pair of rows connects the first name of the group."""
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for first, second in same:
        low, high = sorted((root(names[first]), root(names[second])))
        parent[high] = low
    return [root(name) for name in names]


def read_manifest(root: Path) -> dict[str, dict[str, str]]:
    """The rows of manifest.csv by the photo's stem; {} without one.

    Raises:
        DataError: it lacks the columns that it must have.
    """
    manifest = root / "manifest.csv"
    if not manifest.is_file():
        return {}
    with manifest.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    if rows and not ({"name", "file"} & rows[0].keys() and "set" in rows[0]):
        raise DataError(f"{manifest} must have the columns name (or file) and set, but has {', '.join(rows[0])}")
    return {row.get("name") or Path(row["file"]).stem: row for row in rows}


def _photo(file: Path, labels: Path, row: Mapping[str, str]) -> Photo:
    try:
        with Image.open(file) as picture:
            width, height = picture.size
            if picture.getexif().get(_ORIENTATION, 1) >= _ON_ITS_SIDE:  # boxes are of the upright photo
                width, height = height, width
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{file} cannot be read as a picture: {error}") from error
    try:
        rows = np.array([line.split() for line in labels.read_text().splitlines() if line.strip()], np.float32)
        center, size = np.split(rows.reshape(-1, 5)[:, 1:] * [width, height, width, height], 2, axis=1)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{labels} is no list of boxes (class, center, size, in shares of the picture): {error}"
        ) from error
    corners = np.concatenate([center - size / 2, center + size / 2], axis=1)
    boxes = np.clip(corners, 0, [width, height] * 2).astype(np.float32)
    return Photo(file, row.get("set", ""), width, height, boxes, row.get("labels", "people").split(":")[0])


def _reduced(file: Path) -> NDArray[np.uint8]:
    picture = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise DataError(f"{file} cannot be read as a picture")
    return np.asarray(cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
