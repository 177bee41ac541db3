"""One viewer's camera, frame by frame: lasting faces, the rate, a record of the last minute, a tally of the whole."""

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
from facemotion.tracking.screen_time import Share, Tally
from facemotion.tracking.tracker import RESET_GAP_S, FaceTracker

TIMELINE_SECONDS = 60.0
"""How far the record goes back; also what a viewer can download."""

TIMELINE_MOMENTS = 6000
"""The most entries, one for each face of each frame: a minute of ten faces at ten frames a second."""

RATE_TIME_S = 1.0
"""Time constant of the frames a second that are shown."""


class Analyzer(Protocol):
    """What `LiveSession` asks of a pipeline; `Pipeline` is one."""

    def analyze(self, source: Source | Picture, *, detail: str = "auto", threshold: float | None = None) -> Analysis:
        """The faces of one picture."""
        ...


@dataclass(frozen=True, slots=True)
class Moment:
    """What one face showed at one time: seconds, the lasting id, and one probability per expression of `EMOTIONS`."""

    time_s: float
    id: int
    probabilities: tuple[float, ...]


class LiveSession:
    """One viewer's stream. Frames go in as they come; nothing of a frame is kept but the numbers of `moments`.

    Every frame is searched. Searching every third one of a calm picture and moving the boxes on between would save 4 of
    a frame's 23 ms, little of the way through a browser and back, and cost 2 % of the boxes' overlap, or 18 % at worst
    once the picture moves (`python -m benchmarks.live calm`).

    Threads may share a session: one waits until the other's frame is done.
    """

    def __init__(self, pipeline: Analyzer, detail: str = "fast") -> None:
        """`detail` is one of `settings.DETAILS`: how closely each frame is searched."""
        self._pipeline, self._detail = pipeline, detail
        self._tracker = FaceTracker()
        self._interval = 0.0
        self._last_s: float | None = None
        self._timeline: deque[Moment] = deque(maxlen=TIMELINE_MOMENTS)
        self._tally = Tally()
        self._turn = Lock()  # of the frames
        self._lock = Lock()  # of the record and the tally, which others read while a frame is at work

    @property
    def fps(self) -> float:
        """Frames a second that went through `step`, smoothed; 0 before the second frame."""
        interval = self._interval  # read once: another thread may set it to 0
        return 1 / interval if interval > 0 else 0.0

    def moments(self) -> tuple[Moment, ...]:
        """The record as it is now, oldest first: `TIMELINE_SECONDS` at most. Later frames do not change it."""
        with self._lock:
            return tuple(self._timeline)

    def people(self) -> tuple[Share, ...]:
        """How long each person has shown each expression since the first frame, by id."""
        with self._lock:
            return self._tally.people

    @property
    def duration_s(self) -> float:
        """Seconds since the first frame, without pauses."""
        return self._tally.duration_s

    def step(self, frame: Source | Picture, time_s: float) -> Analysis:
        """Analyses the next frame.

        Args:
            frame: what `Pipeline.analyze` takes, such as RGB uint8 [H, W, 3].
            time_s: when it was taken, in seconds from any fixed moment.

        Returns:
            The frame's faces with lasting ids and smoothed boxes, probabilities and labels; see `FaceTracker`.

        Raises:
            InputError: the frame cannot be read, or `time_s` is not finite. The session goes on with the next frame.
            ModelFailure: a model raised, or memory ran out.
        """
        with self._turn:
            analysis = self._tracker.update(self._pipeline.analyze(frame, detail=self._detail), time_s)
            with self._lock:
                self._clock(time_s)
                self._record(analysis, time_s)
                self._tally.add(analysis.faces, time_s)
        return analysis

    def forget(self) -> None:
        """Drops the record, the tally and the faces in view; those that come later get new ids."""
        with self._turn, self._lock:
            self._timeline.clear()
            self._tally = Tally()
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
        if self._timeline and time_s < self._timeline[-1].time_s:
            self._timeline.clear()
        self._timeline.extend(Moment(time_s, face.id, face.probabilities) for face in analysis.faces)
        while self._timeline and time_s - self._timeline[0].time_s > TIMELINE_SECONDS:
            self._timeline.popleft()


def timeline_csv(timeline: Sequence[Moment]) -> str:
    """One row for each of `LiveSession.moments()`: seconds from the first row, id, and the seven probabilities."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["time_s", "id", "expression", *EMOTIONS])
    for moment in timeline:
        top = EMOTIONS[moment.probabilities.index(max(moment.probabilities))]
        seconds = moment.time_s - timeline[0].time_s
        writer.writerow([f"{seconds:.2f}", moment.id, top, *(f"{p:.4f}" for p in moment.probabilities)])
    return text.getvalue()
