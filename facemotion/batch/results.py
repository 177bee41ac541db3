"""The destination: parts, a record of each finished part, and the run that they belong to.

    DEST/part-000000.parquet            rows; complete when its record is there
    DEST/_facemotion/run.json           sources, options and models; written last, when the list is complete
    DEST/_facemotion/list/              what is to be analysed, in order
    DEST/_facemotion/done/part-000000.json
    DEST/_facemotion/tries/             parts in the making
    DEST/_facemotion/manifest.json      all parts, with their sizes; written at the end
    DEST/_facemotion/report.json        the end report

Names that begin with _ or . are passed over by pandas, Spark and pyarrow when they read the folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from typing import Any

from facemotion.batch import storage
from facemotion.batch.plan import Part, Size
from facemotion.batch.storage import Place
from facemotion.errors import DestinationError, OtherRun

FORMAT = 1
_READERS = 16  # of records at a time, for stores in which each takes a while
_RECORDS = 1000  # asked for at a time
_IN_MANIFEST = ("file", "bytes", "rows", "items", "faces")
_OPTIONS = {"part_pictures": "the size of a part", "schema": "the version of the table", "version": "facemotion itself"}


class Results:
    """The destination folder of a run."""

    def __init__(self, folder: Place) -> None:
        self.folder = folder
        self._own = folder.child(storage.OWN_FOLDER)
        self.list_folder = self._own.child("list")

    def part(self, part: Part) -> Place:
        """Where the rows of a part go."""
        return self.folder.child(f"{part.name}.parquet")

    def tries(self, part: Part) -> Place:
        """Where is noted that a part was begun."""
        return self._own.child("tries").child(f"{part.name}.json")

    def begun(self) -> dict[str, Any] | None:
        """The run that the folder belongs to; None where there is none.

        Raises:
            DestinationError: it is no folder.
        """
        if storage.kind(self.folder) == "file":
            raise DestinationError(f"{self.folder} is a file. Name a folder for the results.")
        return _read_json(self._own.child("run.json"))

    def begin(self, identity: dict[str, Any], size: Size, roots: list[str]) -> None:
        """Notes what the folder is for, after the list of items has been written."""
        counts = {"pictures": size.pictures, "videos": size.videos, "part_pictures": size.part_pictures}
        self._write("run.json", {"format": FORMAT, "identity": identity, "size": counts, "roots": roots})

    def check_new(self) -> None:
        """Refuses a folder that something else is in.

        Raises:
            OtherRun: it holds results.
            DestinationError: it cannot be used.
        """
        if self.begun() is not None:
            raise OtherRun(
                f"{self.folder} holds the results of a run. Go on with it by --resume, or name another folder."
            )
        if storage.kind(self.folder) == "folder" and any(
            entry.place.name.endswith(".parquet") for entry in storage.entries(self.folder)
        ):
            raise OtherRun(f"{self.folder} holds Parquet files already. Name an empty folder for the results.")

    def check_same(self, identity: dict[str, Any], begun: dict[str, Any]) -> None:
        """Refuses to mix the results of two models or options.

        Raises:
            OtherRun: the sentence names what differs.
        """
        if begun.get("format") != FORMAT:
            raise OtherRun(f"{self.folder} was written by another version of facemotion. Name another folder.")
        before = begun["identity"]
        differing = [name for name in before.keys() | identity.keys() if before.get(name) != identity.get(name)]
        if differing:
            raise OtherRun(
                f"{self.folder} was begun with other options or models, so its results would not fit: "
                + "; ".join(_difference(name, before.get(name), identity.get(name)) for name in sorted(differing))
                + ". Start with the same ones, or name another folder."
            )

    def finish_part(self, part: Part, data: bytes, record: dict[str, Any]) -> dict[str, Any]:
        """Writes a part, then its record.

        Raises:
            DestinationError: they cannot be written.
        """
        place = self.part(part)
        storage.write(place, data)
        record |= {"file": place.name, "bytes": len(data)}
        self._write(f"done/{part.name}.json", record)
        storage.remove(self.tries(part))
        return record

    def record(self, part: Part) -> dict[str, Any] | None:
        """The record of a part whose file is there in full; None where it is not."""
        record = self._noted(part)
        return record if record and storage.size(self.part(part)) == record["bytes"] else None

    def records(self, parts: Iterable[Part]) -> Iterator[dict[str, Any]]:
        """The records of those parts whose file is there in full, in order, some at a time."""
        sizes = self._sizes(self.folder)
        names = {name.removesuffix(".json") for name in self._sizes(self._own.child("done"))}
        known = (part for part in parts if part.name in names)
        with ThreadPoolExecutor(_READERS) as pool:
            while some := list(islice(known, _RECORDS)):
                for record in pool.map(self._noted, some):
                    if record and sizes.get(record["file"]) == record["bytes"]:
                        yield record

    def clean(self) -> None:
        """Deletes what killed writers have left."""
        for folder in (self.folder, *(self._own.child(name) for name in ("list", "done", "tries")), self._own):
            storage.remove_parts(folder)

    def finish(self, report: dict[str, Any], finished: dict[int, dict[str, Any]]) -> None:
        """Writes the manifest, from what `in_manifest` took of each record, by number; then the report.

        Raises:
            DestinationError: they cannot be written.
        """
        parts = [finished[number] for number in sorted(finished)]
        self._write("manifest.json", {"format": FORMAT, "parts": parts})
        self._write("report.json", report)

    def _noted(self, part: Part) -> dict[str, Any] | None:
        return _read_json(self._own.child("done").child(f"{part.name}.json"))

    def _sizes(self, folder: Place) -> dict[str, int]:
        if storage.kind(folder) != "folder":
            return {}
        return {entry.place.name: entry.bytes for entry in storage.entries(folder) if not entry.is_folder}

    def _write(self, name: str, value: dict[str, Any]) -> None:
        storage.write(self._own.child(name), json.dumps(value, indent=1).encode())


def in_manifest(record: dict[str, Any]) -> dict[str, Any]:
    """What the manifest says about a part; a driver has so much of each in memory."""
    return {key: record[key] for key in _IN_MANIFEST}


def _read_json(place: Place) -> dict[str, Any] | None:
    with suppress(FileNotFoundError, ValueError):  # a store without atomic puts may have left half of one
        value = json.loads(storage.read(place))
        return value if isinstance(value, dict) else None
    return None


def _difference(name: str, before: Any, now: Any) -> str:
    return f"{_OPTIONS.get(name, name.replace('_', ' '))} was {_short(before)}, now {_short(now)}"


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
