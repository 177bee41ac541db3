"""Readers of image data: a tree of folders, the challenge's fer2013.csv, or Kaggle.

The tree is that of the Kaggle data set jonathanoheix/face-expression-recognition-dataset,
`images/{train,validation}/<emotion>/<row>.jpg`, or the same without `images/`, with or without a `test` folder: the
official split is such a tree with all three. fer2013.csv has the columns emotion, pixels and Usage.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from facemotion.expression import crops
from facemotion.faces import EMOTIONS
from training.common.constants import RESEARCH_ONLY, SIDE
from training.common.errors import DataError
from training.common.files import pictures_in

SPLITS = ("train", "validation", "test")

# fer2013.csv numbers the emotions in this order, which is not the alphabetical one of `EMOTIONS`.
CHALLENGE_LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
USAGES = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
CHALLENGE_FILE = "fer2013.csv"
COLUMNS = ("emotion", "pixels", "usage")

KAGGLE = "kaggle"  # `--data kaggle` downloads
KAGGLE_SET = "jonathanoheix/face-expression-recognition-dataset"

# Pictures in the train and the validation folder -> which of FER2013's splits it is. Others are somebody's own.
KNOWN_SPLITS = {(28_821, 7_066): f"the split of {KAGGLE_SET}", (28_709, 3_589): "its official split"}

PHOTO_SIDE = 100  # of stored photos, as RAF-DB's are: a smaller crop of them is still sharp in a network's input
RAF_DB_PARTS = (12_271, 3_068)  # pictures for training and for the test


@dataclass(frozen=True)
class Entry:
    """One picture of a split, or why there is none.

    `name` is the file's stem or the row's number, `label` an index into `EMOTIONS`, `picture` grey uint8, [48, 48] or
    of the side that `scan` was given, or None. `kind` is "", "unreadable" or "wrong_size", and `problem` says the same
    in a sentence.
    """

    name: str
    label: int
    picture: NDArray[np.uint8] | None = None
    kind: str = ""
    problem: str = ""


def scan(data: Path, split: str, side: int = 0) -> Iterator[Entry]:
    """Every picture of a split, in a fixed order: the tree's by emotion and file name, fer2013.csv's by row.

    Pictures of a tree that are not `side` x `side` are resized to it, as serving does; 0 takes 48 x 48 only.

    Raises:
        DataError: there is no such data or split, or a label is none of `EMOTIONS`.
    """
    source = locate(data)
    return _scan_csv(source, split) if source.is_file() else _scan_tree(source, split, side)


def is_raf_db(root: Path) -> bool:
    """Whether a tree of photos is RAF-DB's basic set, by the number of pictures in its parts."""
    folders = (_split_folder(root, name) for name in ("train", "test"))
    return tuple(sum(len(pictures_in(f / e)) for e in EMOTIONS) if f else 0 for f in folders) == RAF_DB_PARTS


def terms_of_data(roots: Sequence[Path]) -> list[str]:
    """The terms of use that the data impose on weights that learn from them."""
    return [RESEARCH_ONLY] if any(map(is_raf_db, roots)) else []


def available(data: Path) -> tuple[str, ...]:
    """Those of `SPLITS` that the data have.

    Raises:
        DataError: it has none.
    """
    source = locate(data)
    if source.is_file():
        found = {USAGES[usage] for _, _, _, usage in _csv_rows(source)}
    else:
        found = {split for split in SPLITS if _split_folder(source, split) is not None}
    if not found:
        raise DataError(f"{source} holds none of {', '.join(SPLITS)}: expected {source}/images/train/<emotion>/*.jpg")
    return tuple(split for split in SPLITS if split in found)


def has_split(data: Path, split: str) -> bool:
    """Whether the data have that part: one of `SPLITS`, or any folder of a tree.

    Raises:
        DataError: there are no such data.
    """
    source = locate(data)
    return split in available(source) if source.is_file() else _split_folder(source, split) is not None


def locate(data: Path) -> Path:
    """The folder of the tree or the CSV file that `data` stands for; "kaggle" is downloaded.

    Raises:
        DataError: nothing is there, or it cannot be downloaded.
    """
    if str(data) == KAGGLE and not data.exists():
        return download()
    if data.is_file():
        return data
    if not data.is_dir():
        wanted = f"a folder that holds train and validation, {CHALLENGE_FILE}, or {KAGGLE}"
        raise DataError(f"{data} does not exist: name {wanted}")
    file = data / CHALLENGE_FILE
    is_tree = any(_split_folder(data, split) is not None for split in SPLITS)
    return file if file.is_file() and not is_tree else data


def download() -> Path:
    """Fetches `KAGGLE_SET` through kagglehub, which asks for a Kaggle account; returns the folder that it keeps.

    Tested with a stand-in for kagglehub only.

    Raises:
        DataError: kagglehub is not installed, or it failed.
    """
    try:
        import kagglehub  # noqa: PLC0415  (optional: few have a Kaggle account)
    except ImportError:
        raise DataError("--data kaggle needs kagglehub: pip install kagglehub, or name a folder") from None
    try:
        return Path(kagglehub.dataset_download(KAGGLE_SET))
    except Exception as error:  # kagglehub's own errors share no base class
        advice = "Download it by hand and name the folder"
        raise DataError(f"Kaggle did not hand over {KAGGLE_SET}: {error}. {advice}") from error


def _split_folder(root: Path, split: str) -> Path | None:
    """Found with or without `images` around it, and where a copy nests that twice."""
    candidates = (root / "images" / split, root / "images" / "images" / split, root / split)
    return next((folder for folder in candidates if folder.is_dir()), None)


def _scan_tree(root: Path, split: str, side: int) -> Iterator[Entry]:
    folder = _split_folder(root, split)
    if folder is None:
        raise DataError(f"no folder {split!r} under {root}: expected {root}/images/{split}/<emotion>/*.jpg")
    folders = [f.name for f in folder.iterdir() if f.is_dir() and not f.name.startswith(".")]
    unknown = sorted(set(folders) - set(EMOTIONS))
    if unknown:
        raise DataError(f"{folder} holds {', '.join(unknown)}, but the folders must be named {', '.join(EMOTIONS)}")
    for label, emotion in enumerate(EMOTIONS):
        for file in pictures_in(folder / emotion):
            yield read_picture(file, label, side)


def read_picture(file: Path, label: int, side: int) -> Entry:
    """A file as an entry, grey and resized to `side`; 0 takes 48 x 48 only."""
    try:
        with Image.open(file) as picture:
            colour = np.asarray(picture.convert("RGB")) if side else None
            grey = np.asarray(picture.convert("L")) if colour is None else crops.resize(crops.to_grey(colour), side)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        return Entry(file.stem, label, None, "unreadable", f"{file} cannot be read as a picture: {error}")
    if not side and grey.shape != (SIDE, SIDE):
        problem = f"{file} is {grey.shape[1]} x {grey.shape[0]}, but the pictures must be {SIDE} x {SIDE}"
        return Entry(file.stem, label, None, "wrong_size", problem)
    return Entry(file.stem, label, grey)


def _scan_csv(file: Path, split: str) -> Iterator[Entry]:
    if split not in SPLITS:
        raise DataError(f"{file} has no split {split!r}: {CHALLENGE_FILE} has {', '.join(SPLITS)}")
    for row, label, pixels, usage in _csv_rows(file):
        if USAGES[usage] == split:
            yield _parse(row, label, pixels, file.name)


def _parse(row: int, label: int, text: str, file: str) -> Entry:
    """The row's pixels are written as numbers with spaces between."""
    try:
        pixels = bytes(map(int, text.split()))  # which also refuses numbers outside 0..255
    except ValueError as error:
        return Entry(str(row), label, None, "unreadable", f"row {row} of {file} holds no grey levels: {error}")
    if len(pixels) != SIDE * SIDE:
        problem = f"row {row} of {file} has {len(pixels)} pixels, but the pictures must be {SIDE} x {SIDE}"
        return Entry(str(row), label, None, "wrong_size", problem)
    return Entry(str(row), label, np.frombuffer(pixels, np.uint8).reshape(SIDE, SIDE))


def _csv_rows(file: Path) -> Iterator[tuple[int, int, str, str]]:
    """(row, label into `EMOTIONS`, pixels as text, usage), checked; rows count from 0 as in FER+."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.reader(lines)
            header = [name.strip().lower() for name in next(reader, [])]
            if missing := [name for name in COLUMNS if name not in header]:
                raise DataError(
                    f"{file} lacks the column {', '.join(missing)}: expected the challenge's {CHALLENGE_FILE}, with "
                    "emotion, pixels and Usage, or a folder"
                )
            columns = [header.index(name) for name in COLUMNS]
            for row, cells in enumerate(reader):
                yield _checked(row, cells, columns, file)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} is not a CSV file ({error}): expected {CHALLENGE_FILE} or a folder") from error


def _checked(row: int, cells: list[str], columns: list[int], file: Path) -> tuple[int, int, str, str]:
    if len(cells) <= max(columns):
        raise DataError(f"row {row} of {file} has {len(cells)} columns, but needs {', '.join(COLUMNS)}")
    number, pixels, usage = (cells[column].strip() for column in columns)
    if number not in {str(n) for n in range(len(CHALLENGE_LABELS))}:
        raise DataError(f"row {row} of {file} has the emotion {number!r}, but FER2013's are 0 to 6")
    if usage not in USAGES:
        raise DataError(f"row {row} of {file} has the Usage {usage!r}, but FER2013's are {', '.join(USAGES)}")
    return row, EMOTIONS.index(CHALLENGE_LABELS[int(number)]), pixels, usage
