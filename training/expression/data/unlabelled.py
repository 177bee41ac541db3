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
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from facemotion import images
from facemotion.detectors import FaceDetector
from facemotion.expression import crops
from facemotion.faces import Box
from training.common.cli_errors import exit_on_error
from training.common.constants import SUFFIXES
from training.common.errors import DataError
from training.common.files import pictures_in
from training.expression.data.dataset import Split

STORED_SIDE = 100  # pixels, of larger faces: as many as RAF-DB's photos have
QUALITY = 95  # of the JPEG files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, nargs="+", required=True, help="folders of photos")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the faces into")
    parser.add_argument("--detector", default="default", help="a detector's name (%(default)s)")
    parser.add_argument("--least", type=int, default=40, help="pixels of the longer side of a face (%(default)s)")
    parser.add_argument("--confidence", type=float, default=0.6, help="least score of a face (%(default)s)")
    arguments = parser.parse_args()
    with exit_on_error():
        detector = FaceDetector.from_pretrained(arguments.detector)
        count = cut_faces(detector, arguments.photos, arguments.out, arguments.least, arguments.confidence)
    print(f"{count:,} faces in {arguments.out}")


def cut_faces(detector: FaceDetector, photos: Sequence[Path], out: Path, least: int, confidence: float) -> int:
    """Write the faces of all photos as JPEG files of at most `STORED_SIDE` pixels a side; returns how many.

    Args:
        detector: finds the faces, as `auto` does.
        photos: folders, of any depth.
        out: the folder of the files.
        least: pixels that the longer side of a box has at least.
        confidence: the least score of a box, 0..1.

    Raises:
        DataError: the folders hold no photo, or two photos of one name.
        InputError: a photo cannot be read.
    """
    files = sorted(file for root in photos for file in root.rglob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"no photos in {', '.join(map(str, photos))} ({', '.join(sorted(SUFFIXES))})")
    if len({file.stem for file in files}) < len(files):
        raise DataError("two photos have the same name: their faces would have too")
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for file in tqdm(files, unit="photo", leave=False):
        image = images.load(file)
        boxes, _ = detector.detect(image, threshold=confidence)
        large = boxes[(boxes[:, 2:] - boxes[:, :2]).max(1) >= least]
        for number, box in enumerate(large):
            cut = crops.square(image, Box(*box.tolist()))
            side = min(len(cut), STORED_SIDE)
            Image.fromarray(cut).resize((side, side), Image.Resampling.BOX).save(
                out / f"{file.stem}-{number}.jpg", quality=QUALITY
            )
        count += len(large)
    return count


def load_unlabelled(folder: Path, side: int) -> Split:
    """The pictures of a folder, grey and resized to `side`, with labels of 0 that mean nothing.

    Raises:
        DataError: the folder holds none, or one that cannot be read.
    """
    files = pictures_in(folder)
    if not files:
        raise DataError(f"--unlabelled names {folder}, which holds no pictures ({', '.join(sorted(SUFFIXES))})")
    loaded = [crops.resize(crops.to_grey(_rgb(file)), side) for file in files]
    return Split(np.stack(loaded), np.zeros(len(files), np.int64), tuple(file.stem for file in files))


def _rgb(file: Path) -> NDArray[np.uint8]:
    try:
        return np.asarray(Image.open(file).convert("RGB"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read as a picture: {error}") from error


if __name__ == "__main__":
    main()
