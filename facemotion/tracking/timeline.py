"""Expressions over time: runs and seconds per person, and their tables as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TextIO

from facemotion.faces import EMOTIONS, Analysis, Face

COLUMNS: tuple[str, ...] = (
    "time_s", "id", "x0", "y0", "x1", "y1", "expression", "confidence", "uncertain", *EMOTIONS,
)  # fmt: skip
"""The columns of the table. Times are seconds of the video, boxes pixels of the annotated video."""

GAP_S = 1.0
"""Seconds out of view after which a person's next appearance begins a new run; a longer gap counts for nothing."""

MAX_PEOPLE, MAX_RUNS = 500, 2000
"""Limits of the summary, the latter for each person: they bound the memory of a hostile video."""


@dataclass(slots=True)
class Run:
    """An interval, in seconds of the video, in which a person showed one expression."""

    start_s: float
    end_s: float
    expression: str

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return {"start_s": round(self.start_s, 2), "end_s": round(self.end_s, 2), "expression": self.expression}


@dataclass(frozen=True, slots=True)
class Person:
    """What a tracked person showed: seconds for each of `EMOTIONS`, and the runs in their order."""

    id: int
    seconds: dict[str, float]
    runs: tuple[Run, ...] = ()

    @property
    def in_view_s(self) -> float:
        """Seconds in which the face was seen."""
        return sum(self.seconds.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        seconds = {name: round(value, 2) for name, value in self.seconds.items()}
        return {"id": self.id, "seconds": seconds, "runs": [run.to_dict() for run in self.runs]}


@dataclass(slots=True)
class _Record:
    """The growing record of a person; an expression lasts until the next sighting, unless a gap lies between."""

    max_runs: int
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(EMOTIONS, 0.0))
    runs: list[Run] = field(default_factory=list)
    current: Run | None = None

    def add(self, expression: str, time_s: float, duration_s: float = 0.0) -> None:
        current = self.current if self.current is not None and time_s - self.current.end_s <= GAP_S else None
        if current is not None:
            self._extend(current, time_s)
        if current is None or current.expression != expression:
            current = self.current = Run(time_s, time_s, expression)
            if len(self.runs) < self.max_runs:
                self.runs.append(current)
        self._extend(current, time_s + duration_s)

    def _extend(self, run: Run, end_s: float) -> None:
        self.seconds[run.expression] += end_s - run.end_s
        run.end_s = end_s


class Timeline:
    """Collects the people of a video or stream, frame by frame.

    `max_runs` is the number of runs kept for each person; the seconds go on counting beyond it.
    """

    def __init__(self, max_runs: int = MAX_RUNS) -> None:
        self._max_runs = max_runs
        self._records: dict[int, _Record] = {}
        self._last_s: float | None = None
        self.duration_s = 0.0
        """Seconds of the stream, without pauses longer than `GAP_S`."""

    def add(self, faces: Iterable[Face], time_s: float, duration_s: float = 0.0) -> None:
        """Add the faces of a frame, shown from `time_s` on for `duration_s` seconds; frames come in their order."""
        elapsed = 0.0 if self._last_s is None else time_s - self._last_s
        self.duration_s += elapsed if 0 < elapsed <= GAP_S else 0.0
        self._last_s = time_s
        for face in faces:
            if face.id in self._records or len(self._records) < MAX_PEOPLE:
                record = self._records.setdefault(face.id, _Record(self._max_runs))
                record.add(face.expression, time_s, duration_s)

    @property
    def people(self) -> tuple[Person, ...]:
        """The people so far, by id; later frames do not change them."""
        return tuple(
            Person(identity, dict(record.seconds), tuple(replace(run) for run in record.runs))
            for identity, record in sorted(self._records.items())
        )


def runs(sightings: Iterable[tuple[float, str]]) -> list[Run]:
    """Runs of a face from its sightings, each a time in seconds and an expression, in order of time."""
    record = _Record(MAX_RUNS)
    for time_s, expression in sightings:
        record.add(expression, time_s)
    return record.runs


def people_csv(people: Iterable[Person]) -> str:
    """One row for each person: id, seconds in view, and the share of them for each expression, 0..1."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "in_view_s", *EMOTIONS])
    for person in people:
        total = person.in_view_s or 1.0
        shares = (f"{person.seconds[name] / total:.4f}" for name in EMOTIONS)
        writer.writerow([person.id, f"{person.in_view_s:.2f}", *shares])
    return text.getvalue()


class Table:
    """CSV of a video with a row per face and analyzed frame, written as the analyses come."""

    def __init__(self, file: TextIO) -> None:
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow(COLUMNS)

    def add(self, analysis: Analysis, time_s: float) -> None:
        """Write one row for each face."""
        self._writer.writerows(_rows(analysis, time_s))


def _rows(analysis: Analysis, time_s: float) -> Iterable[list[Any]]:
    for face in analysis.faces:
        box = [f"{value:.1f}" for value in face.box]
        uncertain = "yes" if face.uncertain else "no"
        probabilities = [f"{value:.4f}" for value in face.probabilities]
        yield [f"{time_s:.3f}", face.id, *box, face.expression, f"{face.confidence:.4f}", uncertain, *probabilities]
