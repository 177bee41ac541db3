"""Augmented versions of the training pictures, made once, for a run that sees them in turn, or for many such runs.

    python -m training.expression.data.augmentation_cache --data official --votes fer2013new.csv --drop blank,not_a_face --count 40 --out views

makes the files ahead, on all processors, that `training.expression.train --views 40 --cache views` with the same data and --drop
would else make on the way. A network that learns on a GPU is done with an epoch before two processors have augmented
its pictures; with 40 versions of each, 120 epochs meet every one three times.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm
from training.common.files import write_array

from training.common.cli_errors import explained
from training.expression.config import names
from training.expression.data.augment import augmented
from training.expression.data.dataset import DROPS, load_split

Pictures = NDArray[np.uint8]

THREADS = 2  # OpenCV lets go of Python's lock, NumPy's small operations do not
CHUNK = 512  # pictures
SEED = 0  # of all views: runs that differ in their seed see the same ones


def main() -> None:
    arguments = parse_arguments()
    with explained():
        split = load_split(arguments.data, arguments.train_split, arguments.drop, arguments.votes)
        views = Views(split.pictures, arguments.count, arguments.out)
        for number in tqdm(range(arguments.count), desc="augmenting", unit=" views"):
            views.make(number, ProcessPoolExecutor)
    print(f"{arguments.count} views of {len(split):,} pictures are in {arguments.out}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="a folder of pictures, fer2013.csv, or kaggle")
    add("--train-split", default="train", help="the part of it to augment (%(default)s)")
    add("--drop", type=names, default=(), metavar="LIST", help=f"what to leave out of it: {', '.join(DROPS)}")
    add("--votes", type=Path, help="FER+'s votes, which --drop not_a_face needs")
    add("--count", type=int, required=True, help="versions of each picture")
    add("--out", type=Path, required=True, help="the folder to write")
    return parser.parse_args()


class Views:
    """`count` augmented versions of `pictures`, uint8 [N, S, S]; each is made when it is first asked for.

    Args:
        pictures: as they stand in the data set.
        count: how many.
        folder: where they are kept, under a name that only these pictures have; None keeps them in memory.
    """

    def __init__(self, pictures: Pictures, count: int, folder: Path | None = None) -> None:
        self.pictures, self.count = pictures, count
        self.folder = None if folder is None else folder / hashlib.sha256(pictures.tobytes()).hexdigest()[:16]
        self._made: dict[int, Pictures] = {}

    def __getitem__(self, number: int) -> Pictures:
        """uint8 [N, S, S]."""
        if self.folder is not None:
            self.make(number)
            return np.asarray(np.load(self._file(number)))
        if number not in self._made:
            self._made[number] = augment_all(self.pictures, SEED, number)
        return self._made[number]

    def make(self, number: int, pool: Callable[[int], Executor] = ThreadPoolExecutor) -> None:
        """Writes the file of one version, if it is not there."""
        if not self._file(number).exists():
            self._file(number).parent.mkdir(parents=True, exist_ok=True)
            write_array(self._file(number), augment_all(self.pictures, SEED, number, pool))

    def _file(self, number: int) -> Path:
        assert self.folder is not None
        return self.folder / f"{number:03d}.npy"


def augment_all(
    pictures: Pictures, seed: int, epoch: int, pool: Callable[[int], Executor] = ThreadPoolExecutor
) -> Pictures:
    """What `epoch` of a run with this `seed` sees of the pictures [N, S, S]."""
    workers = THREADS if pool is ThreadPoolExecutor else os.cpu_count() or 1
    starts = range(0, len(pictures), CHUNK)
    with pool(workers) as executor:
        waiting = [
            executor.submit(augmented, part, np.arange(start, start + len(part)), seed, epoch)
            for start in starts
            for part in [pictures[start : start + CHUNK]]
        ]
        return np.concatenate([one.result() for one in waiting])


if __name__ == "__main__":
    main()
