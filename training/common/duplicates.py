"""Duplicate, nearly duplicate and blank images. Pure functions of uint8 [N, 48, 48]."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A picture whose grey levels deviate by less than this is blank. Of FER2013, 12 are one even grey and one varies by
# 0.65 (a few compression artefacts); the next, a real picture, by 4.1.
BLANK_DEVIATION = 2.0

# Two pictures are nearly equal from this correlation of their pixels on. FER2013 has 918 such pairs; of 80 that were
# looked at, spread over the whole range, all showed one photo twice: cut a little differently, or with a watermark.
NEAR = 0.95
COARSE_SIDE, COARSE_NEAR = 12, 0.965  # candidates are found on averages over 4 x 4 pixels, which are more alike
BLOCK = 1024  # rows worked on at once; compared with all others they make 140 MB of similarities for FER2013

Pictures = NDArray[np.uint8]


@dataclass(frozen=True)
class Pair:
    """Two rows, the first smaller, that are nearly but not exactly equal, and the correlation of their pixels."""

    first: int
    second: int
    correlation: float


def digests(pictures: Pictures) -> list[bytes]:
    """A hash of the pixels of each image."""
    return [hashlib.sha256(picture.tobytes()).digest() for picture in pictures]


def equal_groups(pictures: Pictures) -> list[list[int]]:
    """The rows of every set of two or more equal pictures, both in order of rows."""
    groups: dict[bytes, list[int]] = {}
    for row, digest in enumerate(digests(pictures)):
        groups.setdefault(digest, []).append(row)
    return [rows for rows in groups.values() if len(rows) > 1]


def copies(pictures: Pictures) -> NDArray[np.bool_]:
    """Which rows repeat an earlier one: bool [N]."""
    mask = np.zeros(len(pictures), bool)
    mask[[row for rows in equal_groups(pictures) for row in rows[1:]]] = True
    return mask


def conflicting(pictures: Pictures, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows equal one with another label: bool [N]."""
    mask = np.zeros(len(pictures), bool)
    mask[[row for rows in equal_groups(pictures) if len(set(labels[rows].tolist())) > 1 for row in rows]] = True
    return mask


def exact_matches(pictures: Pictures, others: Pictures) -> NDArray[np.bool_]:
    """Which of `pictures` are also in `others`, pixel for pixel: bool [N]."""
    known = set(digests(others))
    return np.array([digest in known for digest in digests(pictures)], bool)


def near_matches(pictures: Pictures, others: Pictures) -> NDArray[np.bool_]:
    """Which of `pictures` are also in `others`, exactly or nearly: bool [N]."""
    count = len(others)
    pairs = near_pairs(np.concatenate([others, pictures]))
    near = [pair.second - count for pair in pairs if pair.first < count <= pair.second]
    return exact_matches(pictures, np.concatenate([others, pictures[near]]))


def blank(pictures: Pictures) -> NDArray[np.bool_]:
    """Which pictures are one grey, or nearly so: bool [N]."""
    parts = np.array_split(pictures.reshape(len(pictures), -1), len(pictures) // BLOCK + 1)  # to spare memory
    return np.concatenate([part.std(axis=1, dtype=np.float32) for part in parts]) < BLANK_DEVIATION


def near_pairs(pictures: Pictures, least: float = NEAR) -> list[Pair]:
    """Pairs that are not equal but correlate by `least` or more: the same photo, stored or cut again. Most alike
    first.

    Of equal pictures only the first takes part; blank ones don't. Differences in brightness and contrast don't count.
    """
    rows = np.flatnonzero(~copies(pictures) & ~blank(pictures))
    coarse = _normalised(_reduced(pictures[rows]))
    pairs = []
    for start in range(0, len(rows), BLOCK):
        similarity = coarse[start : start + BLOCK] @ coarse[start:].T
        for i, j in np.argwhere(similarity >= COARSE_NEAR):
            if i < j:
                first, second = rows[start + i], rows[start + j]
                pairs.append(Pair(int(first), int(second), _correlation(pictures[first], pictures[second])))
    return sorted((p for p in pairs if p.correlation >= least), key=lambda p: (-p.correlation, p.first, p.second))


def _reduced(pictures: Pictures) -> NDArray[np.float32]:
    """Averages over tiles: float32 [N, COARSE_SIDE ** 2]."""
    count, side = len(pictures), pictures.shape[1] // COARSE_SIDE
    tiles = pictures.reshape(count, COARSE_SIDE, side, COARSE_SIDE, side)
    return np.asarray(tiles.mean(axis=(2, 4), dtype=np.float32).reshape(count, -1))


def _normalised(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Without mean, of length 1: their products are correlations."""
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6))


def _correlation(picture: Pictures, other: Pictures) -> float:
    first, second = _normalised(np.stack([picture, other]).reshape(2, -1).astype(np.float32))
    return float(first @ second)
