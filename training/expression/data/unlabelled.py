"""Cuts the faces out of photos, as serving cuts them: pictures without labels, for `--unlabelled` of the training.

    python -m training.expression.data.unlabelled --photos photos --out faces --least 40

Networks that learned from labelled pictures name what these show, and others learn from their answers (`--teachers`).
The photos may lie in folders of folders; a face's file is named by its photo and its number in it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from facemotion import images
from facemotion.detectors import FaceDetector
from facemotion.errors import InputError
from facemotion.expression import crops
from facemotion.faces import Box
from training.common.cli_errors import exit_on_error
from training.common.constants import SUFFIXES
from training.common.errors import DataError, naming_all
from training.common.files import pictures_in
from training.expression.data.dataset import Split
from training.expression.data.sources import PHOTO_SIDE, read_picture

QUALITY = 95  # of the JPEG files


def main() -> None:
    arguments = parse_arguments()
    with exit_on_error():
        detector = FaceDetector.from_pretrained(arguments.detector)
        count = cut_faces(detector, arguments.photos, arguments.out, arguments.least, arguments.confidence)
    print(f"{count:,} faces in {arguments.out}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, nargs="+", required=True, help="folders of photos")
    parser.add_argument("--out", type=Path, required=True, help="a new folder to write the faces into")
    parser.add_argument("--detector", default="default", help="a detector's name (%(default)s)")
    parser.add_argument("--least", type=int, default=40, help="pixels of the longer side of a face (%(default)s)")
    parser.add_argument("--confidence", type=float, default=0.6, help="least score of a face (%(default)s)")
    return parser.parse_args()


def cut_faces(detector: FaceDetector, photos: Sequence[Path], out: Path, least: int, confidence: float) -> int:
    """Write the faces of all photos as JPEG files of at most `PHOTO_SIDE` pixels a side; returns how many.

    Args:
        detector: finds the faces, as `auto` does.
        photos: folders, of any depth.
        out: the folder of the files, new or empty.
        least: pixels that the longer side of a box has at least.
        confidence: the least score of a box, 0..1.

    Raises:
        DataError: a folder does not exist, or holds no photos, two photos have one name, `out` is not empty, or photos
            cannot be read; all of these are named, and the faces of the others are written.
    """
    files = [file for root in photos for file in _photos(root)]
    first: dict[str, Path] = {}
    for file in files:
        if (other := first.setdefault(file.stem, file)) != file:
            raise DataError(f"{other} and {file} have the same name: rename one of them, or their faces will mix")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} is not empty: choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    count, problems = 0, list[str]()
    for file in tqdm(files, desc="looking for faces", unit="photo", leave=False, mininterval=1):
        try:
            image = images.load(file)
        except InputError as error:
            problems.append(f"{file}: {error.message}")
            continue
        boxes, _ = detector.detect(image, threshold=confidence)
        large = boxes[(boxes[:, 2:] - boxes[:, :2]).max(axis=1) >= least]
        for number, box in enumerate(large):
            cut = crops.square(image, Box(*box.tolist()))
            picture = Image.fromarray(crops.resize(cut, min(len(cut), PHOTO_SIDE)))
            picture.save(out / f"{file.stem}-{number}.jpg", quality=QUALITY)
        count += len(large)
    if problems:
        raise naming_all([*problems, f"the other photos have {count:,} faces, which are in {out}"])
    return count


def _photos(root: Path) -> list[Path]:
    if not root.is_dir():
        raise DataError(f"{root} does not exist: name folders of photos")
    suffixed = (file for file in root.rglob("*") if file.suffix.lower() in SUFFIXES)
    files = sorted(file for file in suffixed if not file.name.startswith("."))  # as `pictures_in` does
    if not files:
        raise DataError(f"{root} holds no photos ({', '.join(sorted(SUFFIXES))})")
    return files


def load_unlabelled(folder: Path) -> Split:
    """The pictures of a folder, grey and resized to `PHOTO_SIDE`, with labels of 0 that mean nothing.

    Raises:
        DataError: the folder holds none, or some that cannot be read; all of these are named.
    """
    entries = [read_picture(file, 0, PHOTO_SIDE) for file in pictures_in(folder)]
    if not entries:
        raise DataError(f"--unlabelled names {folder}, which holds no pictures ({', '.join(sorted(SUFFIXES))})")
    if problems := [entry.problem for entry in entries if entry.picture is None]:
        raise naming_all(problems)
    pictures = np.stack([entry.picture for entry in entries if entry.picture is not None])
    return Split(pictures, np.zeros(len(entries), np.int64), tuple(entry.name for entry in entries))


if __name__ == "__main__":
    main()
