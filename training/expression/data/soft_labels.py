"""Soft labels from FER2013's labels and the votes of FER+."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facemotion.faces import EMOTIONS
from training.expression.data.ferplus import VOTES, Votes, votes_of

FERPLUS_NAMES = {"angry": "anger", "happy": "happiness", "sad": "sadness"}  # the others are called alike
COLUMNS = [VOTES.index(FERPLUS_NAMES.get(emotion, emotion)) for emotion in EMOTIONS]


def vote_distributions(votes: Votes, names: Sequence[str]) -> NDArray[np.float32]:
    """How the votes fall on the seven expressions: float32 [N, 7] in the order of `EMOTIONS`. Votes for contempt, for
    "unknown" and for "not a face" don't count; a row is zero where there are no others.

    Raises:
        DataError: a name is no row of FER2013, or the row has no votes.
    """
    counts = np.array([votes_of(votes, name) for name in names], np.float32).reshape(-1, len(VOTES))[:, COLUMNS]
    return np.asarray(counts / np.maximum(counts.sum(1, keepdims=True), 1), np.float32)


def soft_targets(labels: NDArray[np.int64], voted: NDArray[np.float32] | None, weight: float) -> NDArray[np.float32]:
    """The distributions to train on, float32 [N, 7].

    Args:
        labels: FER2013's, int [N] into `EMOTIONS`.
        voted: what `vote_distributions` gave, or None.
        weight: how much the votes count beside the label, 0..1; where there are none, the label stands alone.
    """
    own = np.eye(len(EMOTIONS), dtype=np.float32)[labels]
    if voted is None or weight == 0:
        return own
    counts = weight * (voted.sum(1, keepdims=True) > 0)
    return np.asarray((1 - counts) * own + counts * voted, np.float32)


def majority_label(voted: NDArray[np.float32]) -> NDArray[np.int64]:
    """The expression that more than half of the votes name, int [N], or -1 where there is none."""
    return np.where(voted.max(axis=1) > 0.5, voted.argmax(axis=1), -1)


def plurality_label(voted: NDArray[np.float32]) -> NDArray[np.int64]:
    """The expression that most voters saw, int [N], or -1 where two lead or nobody saw one of the seven."""
    ordered = np.sort(voted, axis=1)
    return np.where(ordered[:, -1] > ordered[:, -2], voted.argmax(1), -1)
