"""Which picture killed the process that read it: found by narrowing down, from one try of a part to the next.

A damaged file may crash a native decoder, or make it take so much memory that the system ends the process. Ray starts
another one, which begins the part anew. From the third try on it notes which group of pictures it is at. A group in
which it died is taken picture by picture; a picture in which it died twice gets a row that says so, and is left alone.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from facemotion.batch import storage
from facemotion.batch.storage import Place

CODE = "worker_died"
MESSAGE = "The process that read this picture died, twice. The file may be damaged; please look at it by hand."

_TRIES_WITHOUT_NOTES = 2
_DEATHS = 2


class Tries:
    """The notes of one part, whose pictures are counted from 0; making this begins another try."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._notes: dict[str, Any] = {"tries": 0, "at": None, "alone": [], "deaths": {}}
        with suppress(FileNotFoundError, ValueError):
            self._notes |= json.loads(storage.read(place))
        self._learn()
        self._notes["tries"] += 1
        self._save()

    @property
    def careful(self) -> bool:
        """Whether to note what is worked on."""
        return bool(self._notes["tries"] > _TRIES_WITHOUT_NOTES)

    def apart(self, first: int, last: int) -> bool:
        """Whether pictures `first` to `last` (exclusive) are to be taken alone."""
        return [first, last] in self._notes["alone"]

    def is_bad(self, picture: int) -> bool:
        """Whether a picture is to be left alone."""
        return bool(self._notes["deaths"].get(str(picture), 0) >= _DEATHS)

    def begin(self, first: int, last: int) -> None:
        """Notes that pictures `first` to `last` (exclusive) come now."""
        if self.careful:
            self._notes["at"] = [first, last]
            self._save()

    def _learn(self) -> None:
        """Takes the last try's end into account."""
        at, self._notes["at"] = self._notes["at"], None
        if at is None:
            return
        first, last = at
        if last - first > 1 and at not in self._notes["alone"]:
            self._notes["alone"].append(at)
        elif last - first == 1:
            deaths = self._notes["deaths"]
            deaths[str(first)] = deaths.get(str(first), 0) + 1

    def _save(self) -> None:
        storage.write(self._place, json.dumps(self._notes).encode())
