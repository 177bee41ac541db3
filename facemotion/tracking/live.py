"""Live session of a camera: tracked faces, frame rate, and expressions over time."""

from __future__ import annotations

import csv
import io
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from facemotion.faces import EMOTIONS, Analysis
from facemotion.images import Picture, Source
from facemotion.tracking.timeline import Person, Timeline
from facemotion.tracking.tracker import RESET_GAP_S, FaceTracker

HISTORY_SECONDS = 60.0
"""Length of the history that a viewer can download."""

HISTORY_MOMENTS = 6000
"""Most entries of the history, one per face and frame: a minute of ten faces at ten frames a second."""

RATE_TIME_S = 1.0
"""Time constant of the frame rate shown, in seconds."""


class Analyzer(Protocol):
    """The part of `Pipeline` that `LiveSession` uses."""

    def analyze(self, source: Source | Picture, *, detail: str = "auto", threshold: float | None = None) -> Analysis:
        """Analyze one image."""
        ...


@dataclass(frozen=True, slots=True)
class Moment:
    """A face at one time: seconds, track id, and a probability for each of `EMOTIONS`."""

    time_s: float
    id: int
    probabilities: tuple[float, ...]

    @property
    def expression(self) -> str:
        """The most probable of `EMOTIONS`."""
        return EMOTIONS[self.probabilities.index(max(self.probabilities))]


class LiveSession:
    """The stream of one viewer. Of a frame only the numbers of `moments` are kept.

    Faces are detected in every frame. Detection in every third frame of a still scene, with extrapolated boxes between,
    would save 4 of 23 ms per frame, and cost 2 % of the overlap of the boxes, or 18 % at worst in motion
    (`python -m benchmarks.live calm`).

    Threads may share a session: frames are processed in turn.
    """

    def __init__(self, pipeline: Analyzer, detail: str = "fast") -> None:
        """`detail` is one of `settings.DETAILS`."""
        self._pipeline, self._detail = pipeline, detail
        self._tracker = FaceTracker()
        self._interval = 0.0
        self._last_s: float | None = None
        self._history: deque[Moment] = deque(maxlen=HISTORY_MOMENTS)
        self._timeline = Timeline(max_runs=0)
        self._frame_lock = Lock()  # one frame at a time
        self._lock = Lock()  # of history and timeline, which other threads read during a frame

    @property
    def fps(self) -> float:
        """Frame rate of `step` in frames per second, smoothed; 0 before the second frame."""
        interval = self._interval  # read once: another thread may set it to 0
        return 1 / interval if interval > 0 else 0.0

    def moments(self) -> tuple[Moment, ...]:
        """A copy of the history, oldest first, at most `HISTORY_SECONDS` long."""
        with self._lock:
            return tuple(self._history)

    def people(self) -> tuple[Person, ...]:
        """Seconds of each expression since the first frame for each person, by id; without runs."""
        with self._lock:
            return self._timeline.people

    @property
    def duration_s(self) -> float:
        """Seconds since the first frame, without pauses."""
        return self._timeline.duration_s

    def step(self, frame: Source | Picture, time_s: float) -> Analysis:
        """Analyze the next frame.

        Args:
            frame: what `Pipeline.analyze` takes, such as RGB uint8 [H, W, 3].
            time_s: when it was taken, in seconds from any fixed moment.

        Returns:
            The frame's faces with lasting ids and smoothed boxes, probabilities and labels; see `FaceTracker`.

        Raises:
            InputError: the frame cannot be read, or `time_s` is not finite. The session goes on with the next frame.
            ModelFailure: a model raised, or memory ran out.
        """
        with self._frame_lock:
            analysis = self._tracker.update(self._pipeline.analyze(frame, detail=self._detail), time_s)
            with self._lock:
                self._clock(time_s)
                self._record(analysis, time_s)
                self._timeline.add(analysis.faces, time_s)
        return analysis

    def forget(self) -> None:
        """Drop history, timeline and tracked faces; later faces get new ids."""
        with self._frame_lock, self._lock:
            self._history.clear()
            self._timeline = Timeline(max_runs=0)
            self._tracker.forget()

    def _clock(self, time_s: float) -> None:
        elapsed = math.inf if self._last_s is None else time_s - self._last_s
        self._last_s = time_s
        if not 0 <= elapsed <= RESET_GAP_S:
            self._interval = 0.0
        elif self._interval == 0:
            self._interval = elapsed
        else:
            self._interval += (1 - math.exp(-elapsed / RATE_TIME_S)) * (elapsed - self._interval)

    def _record(self, analysis: Analysis, time_s: float) -> None:
        if self._history and time_s < self._history[-1].time_s:
            self._history.clear()
        self._history.extend(Moment(time_s, face.id, face.probabilities) for face in analysis.faces)
        while self._history and time_s - self._history[0].time_s > HISTORY_SECONDS:
            self._history.popleft()


def moments_csv(moments: Sequence[Moment]) -> str:
    """CSV with a row per moment: seconds from the first row, id, expression, seven probabilities."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["time_s", "id", "expression", *EMOTIONS])
    for moment in moments:
        seconds, probabilities = moment.time_s - moments[0].time_s, (f"{p:.4f}" for p in moment.probabilities)
        writer.writerow([f"{seconds:.2f}", moment.id, moment.expression, *probabilities])
    return text.getvalue()
