"""A split in memory: pictures, labels and names, from any of the forms that `training.expression.data.sources`
reads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from facemotion.faces import EMOTIONS
from training.common import duplicates
from training.common.constants import SIDE, SUFFIXES
from training.common.errors import DataError, naming_all
from training.expression.data.ferplus import load_votes, not_a_face
from training.expression.data.sources import Entry, available, scan

__all__ = ["DROPS", "Split", "collect", "leave_out", "limited", "load_split", "others"]

DROPS = ("duplicates", "conflicts", "blank", "not_a_face", "other_splits")
"""What `load_split` can leave out: all but the first of equal pictures, equal pictures with different labels, blank
pictures, those that all voters of FER+ called not a face, and those that are (nearly) in another split too."""


@dataclass(frozen=True)
class Split:
    """One split in memory: `pictures` uint8 [N, S, S] grey, 48 x 48 as FER2013's are, or of another side; `labels`
    int64 [N] into `EMOTIONS`; `names` N file stems (FER2013's row numbers)."""

    pictures: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, mask: NDArray[np.bool_]) -> Split:
        """The rows where `mask`, bool [N], is true."""
        return Split(self.pictures[mask], self.labels[mask], tuple(np.array(self.names, object)[mask]))

    def digest(self) -> str:
        """SHA-256 of pictures, labels and names, in hexadecimal."""
        parts = (self.pictures.tobytes(), self.labels.tobytes(), "\n".join(self.names).encode())
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def counts(self) -> dict[str, int]:
        """Pictures per emotion."""
        numbers = np.bincount(self.labels, minlength=len(EMOTIONS))
        return {emotion: int(number) for emotion, number in zip(EMOTIONS, numbers, strict=True)}


def load_split(root: Path, split: str, drop: Sequence[str] = (), votes: Path | None = None) -> Split:
    """Reads a split, in the order of `sources.scan`.

    Args:
        root: the folder of a tree, fer2013.csv, a folder that holds it, or "kaggle".
        split: "train", "validation" or "test"; in a tree, the name of any folder of that form.
        drop: which of `DROPS` to leave out.
        votes: FER+'s file, which "not_a_face" needs.

    Raises:
        DataError: no such split, a label that is none of `EMOTIONS`, pictures that cannot be read or are not 48 x 48
            (all are named), nothing left, or an unknown name in `drop`.
    """
    _check_drop(drop, votes)
    loaded, problems = collect(root, split)
    if problems:
        raise naming_all([entry.problem for entry in problems])
    if not len(loaded):
        raise DataError(f"{root} holds no pictures in {split!r} ({', '.join(sorted(SUFFIXES))})")
    return leave_out(loaded, drop, votes, others(root, split) if "other_splits" in drop else ())


def others(root: Path, split: str) -> tuple[Split, ...]:
    """The other splits of the data."""
    return tuple(collect(root, name)[0] for name in available(root) if name != split)


def leave_out(
    split: Split, drop: Sequence[str], votes: Path | None = None, other_splits: Sequence[Split] = ()
) -> Split:
    """The split without some of its rows; the arguments are those of `load_split`, and `other_splits` are the splits,
    which "other_splits" needs.

    Raises:
        DataError: nothing is left, an unknown name in `drop`, or votes that are missing or not of these pictures.
    """
    _check_drop(drop, votes)
    if not drop:
        return split
    dropped = [
        _dropped(name, split, votes, other_splits) for name in drop
    ]  # each on the whole split: the order does not matter
    kept = split.where(~np.any(dropped, axis=0))
    if not len(kept):
        raise DataError(f"of {len(split):,} pictures none is left without {', '.join(drop)}")
    return kept


def limited(split: Split, limit: int, seed: int) -> Split:
    """`limit` of the rows, drawn by the seed; all of them where it is 0 or there are not so many."""
    if not limit or limit >= len(split):
        return split
    rows = np.random.default_rng(seed).choice(len(split), limit, replace=False)
    return Split(split.pictures[rows], split.labels[rows], tuple(split.names[row] for row in rows))


def collect(root: Path, split: str, side: int = 0) -> tuple[Split, list[Entry]]:
    """The pictures of a split that can be used, and the entries of those that cannot; `side` is that of `scan`.

    Raises:
        DataError: no such split, or a label that is none of `EMOTIONS`.
    """
    entries: list[Entry] = []
    pictures: list[NDArray[np.uint8]] = []
    problems: list[Entry] = []
    for entry in tqdm(scan(root, split, side), desc=f"reading {split}", unit="picture", mininterval=1, leave=False):
        if entry.picture is None:
            problems.append(entry)
        else:
            entries.append(entry)
            pictures.append(entry.picture)
    stacked = np.stack(pictures) if pictures else np.empty((0, side or SIDE, side or SIDE), np.uint8)
    labels = np.array([entry.label for entry in entries], np.int64)
    return Split(stacked, labels, tuple(entry.name for entry in entries)), problems


def _check_drop(drop: Sequence[str], votes: Path | None) -> None:
    if unknown := [name for name in drop if name not in DROPS]:
        raise DataError(f"cannot drop {', '.join(unknown)}: choose from {', '.join(DROPS)}")
    if "not_a_face" in drop and votes is None:
        raise DataError("dropping not_a_face needs FER+'s votes: name its CSV file")


def _dropped(name: str, split: Split, votes: Path | None, other_splits: Sequence[Split]) -> NDArray[np.bool_]:
    if name == "other_splits":
        return duplicates.near_matches(
            split.pictures, np.concatenate([split.pictures[:0], *(s.pictures for s in other_splits)])
        )
    if name == "not_a_face" and votes is not None:
        return not_a_face(load_votes(votes), split.names)
    if name == "conflicts":
        return duplicates.conflicting(split.pictures, split.labels)
    return {"duplicates": duplicates.copies, "blank": duplicates.blank}[name](split.pictures)
