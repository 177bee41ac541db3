"""Reader of FER+, the votes of ten people on each image of FER2013.

Barsoum et al. 2016, "Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label Distribution".

Two forms of the file are read: FER+'s own fer2013new.csv, whose lines are in the order of fer2013.csv and whose last
column is NF, and any CSV with a column `row` and the columns named as in `VOTES`.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.common.errors import DataError

VOTES = (
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear"),
    *("contempt", "unknown", "not_a_face"),
)
OTHER_NAMES = {"nf": "not_a_face"}

Votes = Mapping[int, tuple[int, ...]]
"""FER2013's row -> the number of votes for each of `VOTES`."""


def load_votes(file: Path) -> dict[int, tuple[int, ...]]:
    """Reads the votes.

    Raises:
        DataError: there is no such file, a column is missing, or a cell is no number.
    """
    if not file.is_file():
        raise DataError(f"{file} does not exist: name FER+'s fer2013new.csv, or leave the votes out")
    with file.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.reader(lines)
        header = [name.strip().lower() for name in next(reader, [])]
        header = [OTHER_NAMES.get(name, name) for name in header]
        if missing := [name for name in VOTES if name not in header]:
            raise DataError(f"{file} lacks the column {', '.join(missing)}: expected FER+'s fer2013new.csv")
        columns = [header.index(name) for name in VOTES]
        numbered = header.index("row") if "row" in header else None
        try:
            return {
                position if numbered is None else int(cells[numbered]): tuple(int(cells[c]) for c in columns)
                for position, cells in enumerate(reader)
            }
        except (ValueError, IndexError) as error:
            raise DataError(f"{file} holds a line without whole numbers of votes: {error}") from error


def not_a_face(votes: Votes, names: Sequence[str]) -> NDArray[np.bool_]:
    """Which of the pictures got all their votes for "not a face": bool [N].

    Args:
        votes: of all rows that `names` may hold.
        names: the pictures' names, each a row number of FER2013.

    Raises:
        DataError: a name is no row, or the row has no votes.
    """
    return np.array([0 < counts[-1] == sum(counts) for counts in (votes_of(votes, name) for name in names)], bool)


def votes_of(votes: Votes, name: str) -> tuple[int, ...]:
    """The votes for one picture, in the order of `VOTES`.

    Raises:
        DataError: the name is no row of FER2013, or the row has no votes.
    """
    if not name.isdecimal() or int(name) not in votes:
        raise DataError(
            f"the votes are by FER2013's row, but the picture {name!r} is none of their {len(votes):,} rows"
        )
    return votes[int(name)]
