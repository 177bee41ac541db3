"""How long each person of a stream showed which expression, from its first frame on."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, field

from facemotion.faces import EMOTIONS, Face

GAP_S = 1.0
"""Seconds between two frames of a face beyond which nobody knows what it showed: they count for nothing."""

MAX_PEOPLE = 500
"""The first ones are counted: bounds the memory of a hostile stream."""


@dataclass(frozen=True, slots=True)
class Share:
    """One person's time: seconds for each of `EMOTIONS`."""

    id: int
    seconds: dict[str, float]

    @property
    def in_view_s(self) -> float:
        """Seconds in which the face was seen."""
        return sum(self.seconds.values())


@dataclass(slots=True)
class _Count:
    last_s: float
    expression: str
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(EMOTIONS, 0.0))

    def see(self, expression: str, time_s: float) -> None:
        elapsed = time_s - self.last_s
        if 0 < elapsed <= GAP_S:
            self.seconds[self.expression] += elapsed
        self.last_s, self.expression = time_s, expression


class Tally:
    """Counts frame by frame; what a face shows in one frame lasts until its next."""

    def __init__(self) -> None:
        self._counts: dict[int, _Count] = {}
        self._last_s: float | None = None
        self.duration_s = 0.0
        """Seconds of the stream, without pauses longer than `GAP_S`."""

    def add(self, faces: Iterable[Face], time_s: float) -> None:
        """Takes in one frame's faces, with lasting ids. `time_s` counts from any fixed moment."""
        elapsed = 0.0 if self._last_s is None else time_s - self._last_s
        self.duration_s += elapsed if 0 < elapsed <= GAP_S else 0.0
        self._last_s = time_s
        for face in faces:
            if count := self._counts.get(face.id):
                count.see(face.expression, time_s)
            elif len(self._counts) < MAX_PEOPLE:
                self._counts[face.id] = _Count(time_s, face.expression)

    @property
    def people(self) -> tuple[Share, ...]:
        """By id, which is the order of appearance."""
        return tuple(Share(one, dict(self._counts[one].seconds)) for one in sorted(self._counts))


def tally_csv(people: Iterable[Share]) -> str:
    """One row for each person: id, seconds in view, and the share of them for each expression, 0..1."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "in_view_s", *EMOTIONS])
    for one in people:
        total = one.in_view_s or 1.0
        writer.writerow([one.id, f"{one.in_view_s:.2f}", *(f"{one.seconds[name] / total:.4f}" for name in EMOTIONS)])
    return text.getvalue()
