"""Face tracker: ids, smoothed boxes, probabilities and labels over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facemotion import settings
from facemotion.detectors.boxes import ious
from facemotion.errors import BadOption
from facemotion.faces import Analysis, Box, Face

MIN_AFFINITY = -0.2
"""Least distance-IoU of the same person. Two boxes of equal size side by side have -0.2, so
a face may move by its own width between two frames on top of what its motion predicts."""

AFFINITY_DROP_PER_S, LEAST_AFFINITY = 0.4, -0.5
"""Decrease of `MIN_AFFINITY` per second since the face was seen, and its lowest value: at two frames per second a face
may move by twice its width, at fewer by three times."""

MAX_MISS_S = 1.0
"""Seconds that an id survives frames without its face: a turned head or a hand takes less, another person in the same
place mostly takes longer."""

MAX_COAST_S = 0.4
"""Seconds for which the motion of a missed face is extrapolated; after that its position is kept."""

RESET_GAP_S = 2.0
"""Seconds between two frames after which tracking starts anew."""

BOX_TIME_S = 0.06
"""Time constant of the box: takes out a detector's jitter of a pixel or two, follows a moving head without lag."""

PROBABILITY_TIME_S = 0.5
"""Time constant of the probabilities: an expression held for half a second has counted for 63 %."""

LABEL_MARGIN = 0.1
"""Lead in smoothed probability with which another expression becomes the label."""

Vector = NDArray[np.float64]


@dataclass(slots=True, eq=False)
class _Track:
    """A tracked person: centre and size (cx, cy, w, h) with the velocity of the centre, in pixels and seconds."""

    id: int
    seen_s: float
    missed: bool
    shape: Vector
    velocity: Vector
    probabilities: Vector
    label: int
    uncertainty: float

    @classmethod
    def start(cls, identity: int, face: Face, time_s: float) -> _Track:
        probabilities = np.array(face.probabilities)
        return cls(
            id=identity,
            seen_s=time_s,
            missed=False,
            shape=_shape(face.box),
            velocity=np.zeros(4),
            probabilities=probabilities,
            label=int(probabilities.argmax()),
            uncertainty=float(face.uncertain),
        )

    def predict(self, time_s: float) -> Vector:
        """Predicted (cx, cy, w, h) at `time_s`."""
        return self.shape + self.velocity * min(time_s - self.seen_s, MAX_COAST_S)

    def least_affinity(self, time_s: float) -> float:
        """Least affinity of a face that continues this track at `time_s`."""
        return max(MIN_AFFINITY - AFFINITY_DROP_PER_S * (time_s - self.seen_s), LEAST_AFFINITY)

    def update_from(self, face: Face, time_s: float) -> None:
        """Update the track from the face of this frame."""
        elapsed = time_s - self.seen_s
        self._move(_shape(face.box), time_s, elapsed)
        gain = 1 - math.exp(-elapsed / PROBABILITY_TIME_S)
        self.probabilities += gain * (np.array(face.probabilities) - self.probabilities)
        self.uncertainty += gain * (float(face.uncertain) - self.uncertainty)
        top = int(self.probabilities.argmax())
        if self.probabilities[top] - self.probabilities[self.label] > LABEL_MARGIN:
            self.label = top
        self.seen_s, self.missed = time_s, False

    def _move(self, measured: Vector, time_s: float, elapsed: float) -> None:
        """Update position and velocity with a critically damped g-h filter.

        Brookner, "Tracking and Kalman Filtering Made Easy", 1998, chapter 1.2.6. The fading factor depends on the
        elapsed time, so that the filter behaves alike at 5 and at 30 frames per second.
        """
        predicted = self.predict(time_s)
        residual = measured - predicted
        fading = math.exp(-elapsed / BOX_TIME_S)
        self.shape = predicted + (1 - fading**2) * residual
        if elapsed > 0:
            self.velocity[:2] += (1 - fading) ** 2 * residual[:2] / elapsed

    def face(self, face: Face, analysis: Analysis) -> Face:
        """`face` with this track's id, box, probabilities and label."""
        return replace(
            face,
            id=self.id,
            box=_box(self.shape, analysis) or face.box,
            probabilities=self._shown_probabilities(),
            uncertain=self.uncertainty > 0.5,
        )

    def _shown_probabilities(self) -> tuple[float, ...]:
        """Smoothed probabilities, summing to 1, with the label on top.

        While another expression leads the label by at most `LABEL_MARGIN`, the two are exchanged.
        """
        shown = self.probabilities / self.probabilities.sum()
        top = int(shown.argmax())
        shown[[top, self.label]] = shown[[self.label, top]]
        return tuple(float(value) for value in np.clip(shown, 0, 1))


class FaceTracker:
    """Tracks the faces of one stream of analyses.

    A face keeps its id while it moves, and when it is missed for up to `MAX_MISS_S`; an id is never given a second
    time. Boxes and probabilities are smoothed with time constants in seconds, whatever the frame rate, and a label
    changes only when another leads clearly. Time that goes backwards, a gap above `RESET_GAP_S` and a change of the
    image's size start afresh, with new ids.
    """

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._next_id = 1
        self._time_s: float | None = None
        self._size: tuple[int, int] | None = None

    def update(self, analysis: Analysis, time_s: float) -> Analysis:
        """The analysis of the next frame with track ids and smoothed boxes, probabilities and labels.

        Faces stay in the analysis' order; a face that this frame does not show is not in the answer.

        Args:
            time_s: when the frame was taken, in seconds from any fixed moment.

        Raises:
            BadOption: `time_s` is not a finite number.
        """
        if not math.isfinite(time_s):
            raise BadOption(f"time_s must be a finite number of seconds, but got {time_s}.")
        self._drop_stale(analysis, time_s)
        owners = self._owners(analysis.faces, time_s)
        for track, face in zip(owners, analysis.faces, strict=True):
            track.update_from(face, time_s)
        faces = tuple(track.face(face, analysis) for track, face in zip(owners, analysis.faces, strict=True))
        return replace(analysis, faces=faces)

    def forget(self) -> None:
        """Drop all tracks. Their ids are not used again."""
        self._tracks = []

    def _drop_stale(self, analysis: Analysis, time_s: float) -> None:
        """Drop the tracks that this frame cannot continue."""
        size = (analysis.width, analysis.height)
        if analysis.error is not None:
            size = self._size or size
        jumped = self._time_s is not None and not 0 <= time_s - self._time_s <= RESET_GAP_S
        if jumped or size != self._size:
            self._tracks = []
        # A gap between frames is no miss: the face may have been in view meanwhile.
        self._tracks = [track for track in self._tracks if not track.missed or time_s - track.seen_s <= MAX_MISS_S]
        self._time_s, self._size = time_s, size

    def _owners(self, faces: Sequence[Face], time_s: float) -> list[_Track]:
        """The track of each face, a new one where none fits."""
        predicted = np.array([track.predict(time_s) for track in self._tracks]).reshape(-1, 4)
        measured = np.array([_shape(face.box) for face in faces]).reshape(-1, 4)
        least_affinity = np.array([track.least_affinity(time_s) for track in self._tracks])
        found = {column: self._tracks[row] for row, column in _assign(_affinity(predicted, measured), least_affinity)}
        owners = [found.get(index) or self._start(face, time_s) for index, face in enumerate(faces)]
        unmatched = [track for track in self._tracks if track not in owners]
        for track in unmatched:
            track.missed = True
        self._tracks = (owners + unmatched)[: 2 * settings.MAX_FACES]  # bounds the work of a hostile stream
        return owners

    def _start(self, face: Face, time_s: float) -> _Track:
        track = _Track.start(self._next_id, face, time_s)
        self._next_id += 1
        return track


def _shape(box: Box) -> Vector:
    return np.array([*box.center, box.width, box.height])


def _box(shape: Vector, analysis: Analysis) -> Box | None:
    """Box of (cx, cy, w, h), clipped to the image; None where it lies outside."""
    half = np.maximum(shape[2:], 0) / 2
    x0, y0 = np.maximum(shape[:2] - half, 0)
    x1, y1 = np.minimum(shape[:2] + half, (analysis.width, analysis.height))
    return Box(float(x0), float(y0), float(x1), float(y1)) if x0 < x1 and y0 < y1 else None


def _affinity(tracks: Vector, faces: Vector) -> Vector:
    """Distance-IoU of each track with each face, both [N, 4] of (cx, cy, w, h): -1..1, float64 [T, F].

    Zheng et al., AAAI 2020: the overlap less the squared distance of the centres over the squared diagonal of the
    enclosing box.
    """
    a, b = _corners(tracks), _corners(faces)
    low = np.minimum(a[:, None, :2], b[None, :, :2])
    high = np.maximum(a[:, None, 2:], b[None, :, 2:])
    distance = ((tracks[:, None, :2] - faces[None, :, :2]) ** 2).sum(axis=2)
    affinity: Vector = ious(a, b) - distance / ((high - low) ** 2).sum(axis=2)
    return affinity


def _corners(shapes: Vector) -> Vector:
    """Boxes (cx, cy, w, h) [N, 4] as x0 y0 x1 y1."""
    half = shapes[:, 2:] / 2
    return np.concatenate([shapes[:, :2] - half, shapes[:, :2] + half], axis=1)


def _assign(affinity: Vector, least_affinity: Vector) -> list[tuple[int, int]]:
    """Greedy assignment: pairs (row, column) of at least `least_affinity` of the row, the best pair first.

    With motion predicted, the closest pairs are all but always the best assignment of all; the Hungarian method would
    bring a dependency (SciPy) for the rest.
    """
    rows, columns = np.nonzero(affinity >= least_affinity[:, None])
    pairs: list[tuple[int, int]] = []
    taken_rows: set[int] = set()
    taken_columns: set[int] = set()
    for index in np.argsort(-affinity[rows, columns], kind="stable"):
        row, column = int(rows[index]), int(columns[index])
        if row not in taken_rows and column not in taken_columns:
            pairs.append((row, column))
            taken_rows.add(row)
            taken_columns.add(column)
    return pairs
