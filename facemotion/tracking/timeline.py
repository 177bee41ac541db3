"""What each person of a video showed, and when: the summary, and the table with a row per face and analysed frame."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TextIO

from facemotion.faces import EMOTIONS, Analysis

COLUMNS: tuple[str, ...] = (
    "time_s", "id", "x0", "y0", "x1", "y1", "expression", "confidence", "uncertain", *EMOTIONS,
)  # fmt: skip
"""The columns of the table. Times are seconds of the video, boxes pixels of the annotated one."""

GAP_S = 1.0
"""Seconds out of view after which a person's next appearance begins a new run."""

MAX_PEOPLE, MAX_RUNS = 500, 2000
"""Of the summary, the latter for each person: bounds the memory of a hostile video. The table holds them all."""


@dataclass(slots=True)
class Run:
    """A stretch of time, in seconds of the video, in which one person showed one expression."""

    start_s: float
    end_s: float
    expression: str

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return {"start_s": round(self.start_s, 2), "end_s": round(self.end_s, 2), "expression": self.expression}


@dataclass(slots=True)
class Person:
    """Everybody that kept one id: the runs in their order."""

    id: int
    runs: list[Run] = field(default_factory=list)

    @property
    def seconds(self) -> dict[str, float]:
        """How long each expression was shown, for each of `EMOTIONS`."""
        return {name: sum(r.end_s - r.start_s for r in self.runs if r.expression == name) for name in EMOTIONS}

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        seconds = {name: round(value, 2) for name, value in self.seconds.items()}
        runs = [
            {"start_s": round(r.start_s, 2), "end_s": round(r.end_s, 2), "expression": r.expression} for r in self.runs
        ]
        return {"id": self.id, "seconds": seconds, "runs": runs}

    def _see(self, expression: str, time_s: float, lasts_s: float) -> None:
        goes_on = bool(self.runs) and time_s - self.runs[-1].end_s <= GAP_S
        if goes_on:
            self.runs[-1].end_s = time_s
        if (not goes_on or self.runs[-1].expression != expression) and len(self.runs) < MAX_RUNS:
            self.runs.append(Run(time_s, time_s, expression))
            goes_on = True
        if goes_on:
            self.runs[-1].end_s = time_s + lasts_s


class Timeline:
    """Gathers the people of a video, analysis by analysis."""

    def __init__(self) -> None:
        self._people: dict[int, Person] = {}

    def add(self, analysis: Analysis, time_s: float, lasts_s: float = 0.0) -> None:
        """Takes in the faces of one moment, and for how long it is shown; moments come in their order."""
        for face in analysis.faces:
            if face.id in self._people or len(self._people) < MAX_PEOPLE:
                self._people.setdefault(face.id, Person(face.id))._see(face.expression, time_s, lasts_s)

    @property
    def people(self) -> tuple[Person, ...]:
        """By id, which is the order of appearance."""
        return tuple(self._people[one] for one in sorted(self._people))


class Table:
    """The table, written as CSV while the analyses come. Nothing of it stays in memory."""

    def __init__(self, file: TextIO) -> None:
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow(COLUMNS)

    def add(self, analysis: Analysis, time_s: float) -> None:
        """One row for each face."""
        self._writer.writerows(_rows(analysis, time_s))


def _rows(analysis: Analysis, time_s: float) -> Iterable[list[Any]]:
    for face in analysis.faces:
        box = [f"{value:.1f}" for value in face.box]
        doubt = "yes" if face.uncertain else "no"
        shares = [f"{value:.4f}" for value in face.probabilities]
        yield [f"{time_s:.3f}", face.id, *box, face.expression, f"{face.confidence:.4f}", doubt, *shares]
